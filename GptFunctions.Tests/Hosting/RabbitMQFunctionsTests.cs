using System.Collections.Concurrent;
using System.Net;
using System.Text;
using GptFunctions.Tests.Support;
using Microsoft.Azure.Functions.Worker;
using RabbitMQ.Client;

namespace GptFunctions.Tests.Hosting;

/// <summary>hosting.md 5 to 7: RabbitMQ triggers.</summary>
public sealed class RabbitMQFunctionsTests(RabbitMQFunctionsFixture fixture) : IClassFixture<RabbitMQFunctionsFixture>
{
    private readonly TestApp app = fixture.App;
    private readonly TestBroker broker = fixture.Broker;

    [Fact]
    public async Task Message_that_succeeds_is_delivered_once_as_bytes_and_acknowledged()
    {
        await broker.DeclareAsync(RabbitMQTestFunctions.BytesQueue);
        await broker.PublishAsync(RabbitMQTestFunctions.BytesQueue, "héllo");
        await using (await StartAsync("_bytes", nameof(RabbitMQTestFunctions.TestMessageBytes)))
        {
            await Wait.UntilAsync(() => RabbitMQTestFunctions.Bytes.Count == 1);
        }

        Assert.Equal("héllo"u8.ToArray(), RabbitMQTestFunctions.Bytes.Single());
        Assert.Equal(0u, await broker.CountAsync(RabbitMQTestFunctions.BytesQueue)); // what was not acknowledged would be back
    }

    [Fact]
    public async Task Message_as_string_is_read_as_utf8()
    {
        await broker.PublishAsync(RabbitMQTestFunctions.TextQueue, "héllo €");
        await Wait.UntilAsync(() => RabbitMQTestFunctions.Texts.Contains("héllo €"));
    }

    [Fact]
    public async Task Messages_are_worked_on_one_at_a_time_and_in_order()
    {
        for (var number = 0; number < 40; number++)
        {
            await broker.PublishAsync(RabbitMQTestFunctions.OneByOneQueue, number.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }

        await Wait.UntilAsync(() => RabbitMQTestFunctions.OneByOne.Count == 40);
        Assert.Equal(Enumerable.Range(0, 40), RabbitMQTestFunctions.OneByOne);
        Assert.Equal(1, RabbitMQTestFunctions.MostAtOnce);
    }

    [Fact]
    public async Task Message_that_fails_goes_to_the_tail_and_is_dead_lettered_after_the_fifth_failure()
    {
        await broker.DeclareAsync(RabbitMQTestFunctions.DeadQueue);
        await broker.DeclareAsync(RabbitMQTestFunctions.FailingQueue, deadLetterQueue: RabbitMQTestFunctions.DeadQueue);
        await broker.PublishAsync(RabbitMQTestFunctions.FailingQueue, "poison", properties => properties.CorrelationId = "abc");
        await broker.PublishAsync(RabbitMQTestFunctions.FailingQueue, "fine");
        await using (var failing = await StartAsync("_fails", nameof(RabbitMQTestFunctions.TestMessageFails)))
        {
            await Wait.UntilAsync(async () => await broker.CountAsync(RabbitMQTestFunctions.DeadQueue) == 1);
            Assert.Equal(
                5,
                failing.Log.Lines.Count(
                    line => line.StartsWith("Error 1022", StringComparison.Ordinal) && line.Contains("the message broke", StringComparison.Ordinal)));
        }

        Assert.Equal(["poison", "fine", "poison", "poison", "poison", "poison"], RabbitMQTestFunctions.Failing);
        Assert.Equal(0u, await broker.CountAsync(RabbitMQTestFunctions.FailingQueue));
        var dead = await broker.GetAsync(RabbitMQTestFunctions.DeadQueue);
        Assert.Equal("poison", Encoding.UTF8.GetString(dead.Body.Span));
        Assert.Equal(4, dead.BasicProperties.Headers!["x-ms-rabbitmq-requeuecount"]);
        Assert.Equal("abc", dead.BasicProperties.CorrelationId); // the republished message keeps its properties
    }

    [Fact]
    public async Task Connection_that_is_lost_comes_back_and_nothing_is_lost()
    {
        await broker.PublishAsync(RabbitMQTestFunctions.LossQueue, "before");
        await Wait.UntilAsync(() => RabbitMQTestFunctions.Loss.Contains("before"));
        await fixture.Proxy.CutAsync();
        await broker.PublishAsync(RabbitMQTestFunctions.LossQueue, "meanwhile");
        fixture.Proxy.Restore();
        await Wait.UntilAsync(() => RabbitMQTestFunctions.Loss.Contains("meanwhile"));
        Assert.Contains(
            app.Log.Lines,
            line => line.StartsWith("Error 1021", StringComparison.Ordinal)
                && line.Contains(nameof(RabbitMQTestFunctions.TestMessageLoss), StringComparison.Ordinal));
    }

    [Fact]
    public async Task Queue_or_broker_or_setting_missing_at_start_is_said_once_and_leaves_http_up()
    {
        await using var without = await TestFunctions.StartAsync(nameof(RabbitMQFunctionsTests) + "_without", new()
        {
            ["TEST_BROKER"] = await TestServices.RabbitMqUrlAsync(),
            ["TEST_BROKER_AWAY"] = "amqp://user:very-secret@127.0.0.1:1",
            ["TEST_BROKER_WRONG"] = "http://user:very-secret@127.0.0.1:1",
        }, [
            nameof(RabbitMQTestFunctions.TestMessageNoQueue), nameof(RabbitMQTestFunctions.TestMessageNoBroker),
            nameof(RabbitMQTestFunctions.TestMessageNoSetting), nameof(RabbitMQTestFunctions.TestMessageWrongUrl),
            nameof(RabbitMQTestFunctions.TestMessageHttp),
        ]);
        foreach (var (function, reason) in new[] { ("NoQueue", "NOT_FOUND"), ("NoBroker", "refused"), (
            "NoSetting", "TEST_BROKER_UNSET is not set"), ("WrongUrl", "scheme") })
        {
            await Wait.UntilAsync(() => without.Log.Lines.Any(line =>
                line.StartsWith("Error 1021", StringComparison.Ordinal) && line.Contains("TestMessage" + function, StringComparison.Ordinal)
                    && line.Contains(reason, StringComparison.Ordinal)));
        }

        Assert.Equal(4, without.Log.Lines.Count(line => line.StartsWith("Error 1021", StringComparison.Ordinal)));
        Assert.DoesNotContain(without.Log.Lines, line => line.Contains("very-secret", StringComparison.Ordinal));
        using var answer = await without.Http.GetAsync(new Uri("/test-message-http", UriKind.Relative));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    /// <summary>Better than the Functions host, which never tries again: nobody has to notice and start the program anew.</summary>
    [Fact]
    public async Task Broker_that_comes_after_the_start_is_found_and_so_is_its_queue()
    {
        await broker.DeleteAsync(RabbitMQTestFunctions.LateQueue);
        await using var proxy = new TestProxy(broker.Url);
        await proxy.CutAsync();
        await using var waiting = await TestFunctions.StartAsync(
            nameof(RabbitMQFunctionsTests) + "_late", new() { ["TEST_BROKER"] = proxy.Url }, [nameof(RabbitMQTestFunctions.TestMessageLate)]);
        await Wait.UntilAsync(() => waiting.Log.Lines.Any(line => line.StartsWith("Error 1021", StringComparison.Ordinal)));
        proxy.Restore();
        await broker.DeclareAsync(RabbitMQTestFunctions.LateQueue);
        await broker.PublishAsync(RabbitMQTestFunctions.LateQueue, "first");
        await Wait.UntilAsync(() => RabbitMQTestFunctions.Late.Contains("first"));

        await broker.DeclareAsync(RabbitMQTestFunctions.LateQueue); // deleted and made anew: the broker cancels the consumer
        await broker.PublishAsync(RabbitMQTestFunctions.LateQueue, "second");
        await Wait.UntilAsync(() => RabbitMQTestFunctions.Late.Contains("second"));
    }

    [Fact]
    public async Task Stop_waits_for_the_message_in_work_and_gives_the_fetched_ones_back()
    {
        await broker.DeclareAsync(RabbitMQTestFunctions.StopQueue);
        var stopping = await StartAsync("_stop", nameof(RabbitMQTestFunctions.TestMessageStops));
        await broker.PublishAsync(RabbitMQTestFunctions.StopQueue, "first");
        await broker.PublishAsync(RabbitMQTestFunctions.StopQueue, "second");
        await Wait.UntilAsync(() => RabbitMQTestFunctions.Stopped.Contains("begun first"));
        await stopping.DisposeAsync();
        Assert.Equal(["begun first", "ended first"], RabbitMQTestFunctions.Stopped);
        await Wait.UntilAsync(async () => await broker.CountAsync(RabbitMQTestFunctions.StopQueue) == 1);
        Assert.Equal("second", Encoding.UTF8.GetString((await broker.GetAsync(RabbitMQTestFunctions.StopQueue)).Body.Span));
    }

    [Theory]
    [InlineData(nameof(RabbitMQTestFunctions.TestMessageNamedBody), "'body'")]
    [InlineData(nameof(RabbitMQTestFunctions.TestMessageNamedRoutingKey), "'RoutingKey'")]
    [InlineData(nameof(RabbitMQTestFunctions.TestMessageAsNumber), "must be byte[] or string")]
    [InlineData(nameof(RabbitMQTestFunctions.TestMessageWithoutSetting), "ConnectionStringSetting")]
    [InlineData(nameof(RabbitMQTestFunctions.TestMessageUnknownQueueSetting), "TEST_UNSET_QUEUE is not set")]
    public void Start_with_a_message_function_that_the_Functions_host_would_reject_is_refused_with_a_sentence(string function, string reason)
    {
        var sentence = TestFunctions.Refusal(function);
        Assert.StartsWith($"The function {function} cannot run: ", sentence, StringComparison.Ordinal);
        Assert.Contains(reason, sentence, StringComparison.Ordinal);
    }

    private Task<TestApp> StartAsync(string suffix, string function) =>
        TestFunctions.StartAsync(nameof(RabbitMQFunctionsTests) + suffix, new() { ["TEST_BROKER"] = broker.Url }, [function]);
}

public sealed class RabbitMQFunctionsFixture : TestFunctionsFixture
{
    internal TestBroker Broker { get; private set; } = null!;

    internal TestProxy Proxy { get; private set; } = null!;

    protected override IReadOnlyList<string> Functions =>
    [
        nameof(RabbitMQTestFunctions.TestMessageText), nameof(RabbitMQTestFunctions.TestMessageOneByOne), nameof(RabbitMQTestFunctions.TestMessageLoss),
    ];

    protected override async Task<IReadOnlyDictionary<string, string?>> SettingsAsync()
    {
        Broker = await TestBroker.ConnectAsync();
        Proxy = new TestProxy(Broker.Url);
        foreach (var queue in (string[])[RabbitMQTestFunctions.TextQueue, RabbitMQTestFunctions.OneByOneQueue, RabbitMQTestFunctions.LossQueue])
        {
            await Broker.DeclareAsync(queue);
        }

        return new Dictionary<string, string?>(StringComparer.Ordinal)
        {
            ["TEST_BROKER"] = Broker.Url,
            ["TEST_BROKER_PROXY"] = Proxy.Url,
            ["TEST_QUEUE"] = RabbitMQTestFunctions.TextQueue,
        };
    }

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await Proxy.DisposeAsync();
        await Broker.DisposeAsync();
    }
}

public sealed class RabbitMQTestFunctions(TimeProvider clock)
{
    public const string BytesQueue = "test.host.bytes";
    public const string TextQueue = "test.host.text";
    public const string OneByOneQueue = "test.host.one-by-one";
    public const string FailingQueue = "test.host.failing";
    public const string DeadQueue = "test.host.dead";
    public const string LossQueue = "test.host.loss";
    public const string StopQueue = "test.host.stop";
    public const string LateQueue = "test.host.late";

    private static int atOnce;
    private static int mostAtOnce;

    public static ConcurrentQueue<byte[]> Bytes { get; } = new();

    public static ConcurrentQueue<string> Texts { get; } = new();

    public static ConcurrentQueue<int> OneByOne { get; } = new();

    public static int MostAtOnce => mostAtOnce;

    public static ConcurrentQueue<string> Failing { get; } = new();

    public static ConcurrentQueue<string> Loss { get; } = new();

    public static ConcurrentQueue<string> Stopped { get; } = new();

    public static ConcurrentQueue<string> Late { get; } = new();

    [Function(nameof(TestMessageBytes))]
    public static void TestMessageBytes([RabbitMQTrigger(BytesQueue, ConnectionStringSetting = "TEST_BROKER")] byte[] message) => Bytes.Enqueue(message);

    [Function(nameof(TestMessageText))]
    public static Task TestMessageText(
        [RabbitMQTrigger("%TEST_QUEUE%", ConnectionStringSetting = "TEST_BROKER")] string message, CancellationToken cancellationToken)
    {
        Texts.Enqueue(message);
        return Task.CompletedTask;
    }

    [Function(nameof(TestMessageOneByOne))]
    public async Task TestMessageOneByOne(
        [RabbitMQTrigger(OneByOneQueue, ConnectionStringSetting = "TEST_BROKER")] string message, CancellationToken cancellationToken)
    {
        mostAtOnce = Math.Max(mostAtOnce, Interlocked.Increment(ref atOnce));
        await Task.Delay(TimeSpan.FromMilliseconds(2), clock, cancellationToken);
        OneByOne.Enqueue(int.Parse(message, System.Globalization.CultureInfo.InvariantCulture));
        Interlocked.Decrement(ref atOnce);
    }

    [Function(nameof(TestMessageFails))]
    public static async Task TestMessageFails([RabbitMQTrigger(FailingQueue, ConnectionStringSetting = "TEST_BROKER")] string message)
    {
        Failing.Enqueue(message);
        await Task.Yield();
        if (message == "poison")
        {
            throw new InvalidOperationException("the message broke");
        }
    }

    [Function(nameof(TestMessageLoss))]
    public static void TestMessageLoss([RabbitMQTrigger(LossQueue, ConnectionStringSetting = "TEST_BROKER_PROXY")] string message) => Loss.Enqueue(message);

    [Function(nameof(TestMessageLate))]
    public static void TestMessageLate([RabbitMQTrigger(LateQueue, ConnectionStringSetting = "TEST_BROKER")] string message) => Late.Enqueue(message);

    [Function(nameof(TestMessageStops))]
    public static async Task TestMessageStops(
        [RabbitMQTrigger(StopQueue, ConnectionStringSetting = "TEST_BROKER")] string message, CancellationToken cancellationToken)
    {
        Stopped.Enqueue("begun " + message);
        await Wait.UntilAsync(() => cancellationToken.IsCancellationRequested, CancellationToken.None);
        await Task.Delay(200, CancellationToken.None);
        Stopped.Enqueue("ended " + message);
    }

    [Function(nameof(TestMessageNoQueue))]
    public static void TestMessageNoQueue([RabbitMQTrigger("test.host.nowhere", ConnectionStringSetting = "TEST_BROKER")] string message) =>
        Texts.Enqueue(message);

    [Function(nameof(TestMessageNoBroker))]
    public static void TestMessageNoBroker([RabbitMQTrigger(TextQueue, ConnectionStringSetting = "TEST_BROKER_AWAY")] string message) =>
        Texts.Enqueue(message);

    [Function(nameof(TestMessageNoSetting))]
    public static void TestMessageNoSetting([RabbitMQTrigger(TextQueue, ConnectionStringSetting = "TEST_BROKER_UNSET")] string message) =>
        Texts.Enqueue(message);

    [Function(nameof(TestMessageWrongUrl))]
    public static void TestMessageWrongUrl([RabbitMQTrigger(TextQueue, ConnectionStringSetting = "TEST_BROKER_WRONG")] string message) =>
        Texts.Enqueue(message);

    [Function(nameof(TestMessageHttp))]
    public static string TestMessageHttp(
        [HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "test-message-http")] Microsoft.AspNetCore.Http.HttpRequest request) => "up";

    [Function(nameof(TestMessageNamedBody))]
    public static void TestMessageNamedBody([RabbitMQTrigger(TextQueue, ConnectionStringSetting = "TEST_BROKER")] string body) => Texts.Enqueue(body);

    [Function(nameof(TestMessageNamedRoutingKey))]
    public static void TestMessageNamedRoutingKey([RabbitMQTrigger(TextQueue, ConnectionStringSetting = "TEST_BROKER")] string RoutingKey) =>
        Texts.Enqueue(RoutingKey);

    [Function(nameof(TestMessageAsNumber))]
    public static void TestMessageAsNumber([RabbitMQTrigger(TextQueue, ConnectionStringSetting = "TEST_BROKER")] int message) => OneByOne.Enqueue(message);

    [Function(nameof(TestMessageWithoutSetting))]
    public static void TestMessageWithoutSetting([RabbitMQTrigger(TextQueue)] string message) => Texts.Enqueue(message);

    [Function(nameof(TestMessageUnknownQueueSetting))]
    public static void TestMessageUnknownQueueSetting([RabbitMQTrigger("%TEST_UNSET_QUEUE%", ConnectionStringSetting = "TEST_BROKER")] string message) =>
        Texts.Enqueue(message);
}
