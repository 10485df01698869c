using System.Text;
using System.Text.Json;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using RabbitMQ.Client;

namespace GptFunctions.Tests.Audit;

/// <summary>audit.md 13 to 15: messages that did not get into the trail, put back or thrown away, and nothing lost by looking.</summary>
[Collection(AuditQueueTurns.Name)]
public sealed class MessagesTests : IAsyncLifetime
{
    private static readonly OperatorAct Act = new("user_ops", "repaired");
    private TestBroker broker = null!;
    private TestApp app = null!;

    private static Occasion Now => Occasion.OfCommand(TimeProvider.System.GetUtcNow(), "test");

    private MessageService Messages => app.Get<MessageService>();

    public async Task InitializeAsync()
    {
        broker = await TestBroker.ConnectAsync();
        app = await TestApp.StartAsync(nameof(MessagesTests), new(StringComparer.Ordinal)
        {
            ["RABBITMQ_URL"] = broker.Url,
            ["AzureWebJobs.AuditConsumer.Disabled"] = "true",
        });
        await broker.DeclareAsync(AuditSettings.DeadLetters);
        await broker.DeclareAsync(AuditSettings.Queue, AuditSettings.DeadLetters);
    }

    public async Task DisposeAsync()
    {
        await broker.DeleteAsync(AuditSettings.Queue, AuditSettings.DeadLetters);
        await broker.DisposeAsync();
        await app.DisposeAsync();
    }

    [Theory]
    [InlineData("classic")]
    [InlineData("quorum")]
    public async Task Looking_loses_none_and_doubles_none_and_keeps_the_order(string type)
    {
        // RabbitMQ 4 has this limit for every quorum queue, at twenty.
        await broker.DeleteAsync(AuditSettings.DeadLetters);
        var arguments = new Dictionary<string, object?>(StringComparer.Ordinal) { ["x-queue-type"] = type };
        if (type == "quorum")
        {
            arguments["x-delivery-limit"] = 20;
        }

        await broker.DeclareExactlyAsync(AuditSettings.DeadLetters, arguments);
        await DieAsync([.. Enumerable.Range(1, 5).Select(Envelope)]);
        var first = await Messages.ListDeadAsync(50);
        Assert.Equal((5, null), (first.Count, first.Problem));
        Assert.Equal(Enumerable.Range(1, 5).Select(Envelope), first.First.Select(letter => Encoding.UTF8.GetString(letter.Message)));
        Assert.All(first.First, letter => Assert.Equal(
            ("failed five times in gpt-audit-events: an integrity rule or a bug", "gpt.oauth.authorize", true),
            (letter.Reason, letter.Event?.Type, letter.DiedAt > Now.Now.AddMinutes(-5))));

        for (var look = 0; look < 30; look++)
        {
            var list = await Messages.ListDeadAsync(look % 2 == 0 ? 50 : 3);
            Assert.Equal((5, null), (list.Count, list.Problem));
            Assert.Equal(look % 2 == 0 ? 5 : 3, list.First.Select(letter => letter.Id).Distinct(StringComparer.Ordinal).Count());
        }

        var many = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => Messages.ListDeadAsync(50)));
        Assert.All(many, list => Assert.Equal((5, 5, null), ((int)list.Count, list.First.Count, list.Problem)));
        await Wait.UntilAsync(async () => await broker.CountAsync(AuditSettings.DeadLetters) == 5);
    }

    [Fact]
    public async Task Dead_letter_goes_back_to_the_queue_with_all_of_its_attempts_and_is_told_once()
    {
        await DieAsync(Envelope(1), Envelope(2), Envelope(3));
        var letters = (await Messages.ListDeadAsync(50)).First;
        Assert.Equal(("1 dead letters are back in gpt-audit-events.", null), await Messages.ReturnAsync("dead/" + letters[1].Id, Act, Now));
        Assert.Equal([letters[0].Id, letters[2].Id], (await Messages.ListDeadAsync(50)).First.Select(letter => letter.Id));
        var back = await broker.GetAsync(AuditSettings.Queue);
        Assert.Equal(Envelope(2), Encoding.UTF8.GetString(back.Body.Span));
        Assert.False(back.BasicProperties.Headers?.ContainsKey("x-ms-rabbitmq-requeuecount") == true);
        Assert.True(back.BasicProperties.Persistent);
        Assert.Equal((null, $"There is no dead letter {letters[1].Id}."), await Messages.ReturnAsync("dead/" + letters[1].Id, Act, Now));
        var told = Assert.Single(await app.Database.EventsAsync(MessageService.Returned, "operator", "user_ops")).GetProperty("payload");
        Assert.Equal(
            ("dead", letters[1].Id, "repaired", "gpt.oauth.authorize"),
            (told.GetProperty("from").GetString(), told.GetProperty("message_id").GetString(), told.GetProperty("reason").GetString(),
                told.GetProperty("event_type").GetString()));

        Assert.Equal(("2 dead letters are back in gpt-audit-events.", null), await Messages.ReturnAsync("dead/all", Act, Now));
        Assert.Equal((0u, 2u), (await broker.CountAsync(AuditSettings.DeadLetters), await broker.CountAsync(AuditSettings.Queue)));
        Assert.Equal(2, (await app.Database.EventsAsync(MessageService.Returned, "operator", "user_ops")).Count);
    }

    /// <summary>What can be half done when a process dies: in both queues, never in none.</summary>
    [Fact]
    public async Task Dead_letter_that_arrived_and_could_not_be_told_of_stays_too()
    {
        await DieAsync(Envelope(1));
        await app.Database.ExecuteAsync("""
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not now'; END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON outbox_messages FOR EACH ROW EXECUTE FUNCTION refuse()
            """);
        await Assert.ThrowsAsync<Npgsql.PostgresException>(() => Messages.ReturnAsync("dead/all", Act, Now));
        await Wait.UntilAsync(async () => await broker.CountAsync(AuditSettings.DeadLetters) == 1);
        Assert.Equal(1u, await broker.CountAsync(AuditSettings.Queue));
        await app.Database.ExecuteAsync("DROP FUNCTION refuse CASCADE");
        await broker.DeleteAsync(AuditSettings.Queue);
        Assert.Contains("so it stays: is there a gpt-audit-events", (await Messages.ReturnAsync("dead/all", Act, Now)).Problem, StringComparison.Ordinal);
        await Wait.UntilAsync(async () => await broker.CountAsync(AuditSettings.DeadLetters) == 1);
        Assert.Equal(0, await app.Database.CountAsync("outbox_messages", $"routing_key = '{MessageService.Returned}'"));
    }

    [Fact]
    public async Task Discarded_messages_are_gone_and_the_trail_knows_their_digest()
    {
        await DieAsync("\u0000\uFFFFnot an event");
        var letter = Assert.Single((await Messages.ListDeadAsync(50)).First);
        await QuarantineAsync([0xFF, 0xFE, 0x00], "not JSON");
        var id = Assert.Single(await Messages.ListQuarantineAsync(null, 50)).Id;
        Assert.Null(await Messages.DiscardAsync("dead/" + letter.Id, Act, Now));
        Assert.Null(await Messages.DiscardAsync($"quarantine/{id}", Act, Now));
        Assert.Equal((0u, 0), (await broker.CountAsync(AuditSettings.DeadLetters), await app.Database.CountAsync("audit_quarantine")));
        var told = (await app.Database.EventsAsync(MessageService.Discarded, "operator", "user_ops")).Select(item => item.GetProperty("payload")).ToList();
        Assert.Equal(["dead", "quarantine"], told.Select(payload => payload.GetProperty("from").GetString()!));
        Assert.Equal(
            Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData([0xFF, 0xFE, 0x00])), told[1].GetProperty("sha256").GetString());
        Assert.Equal($"There is no dead letter {letter.Id}.", await Messages.DiscardAsync("dead/" + letter.Id, Act, Now));
        Assert.Equal($"There is no message {id} in the quarantine.", await Messages.DiscardAsync($"quarantine/{id}", Act, Now));
        Assert.All(
            (string[])["dead/all", "quarantine/all", "stranded/x", "12", "", "/"],
            name => Assert.Contains("names no message", Messages.DiscardAsync(name, Act, Now).Result, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Message_of_the_quarantine_gets_into_the_trail_once_it_is_an_event_and_else_stays()
    {
        await QuarantineAsync(Encoding.UTF8.GetBytes(Envelope(1)), "an older release did not know it");
        await QuarantineAsync(Encoding.UTF8.GetBytes("{}"), "event_id is not a UUID");
        await QuarantineAsync(Encoding.UTF8.GetBytes(Envelope(2).Replace("\"x\"", "\"\\u0000\"", StringComparison.Ordinal)), "PostgreSQL cannot store it");
        var ids = (await Messages.ListQuarantineAsync(null, 50)).ConvertAll(message => message.Id);
        Assert.Equal(ids.OrderDescending(), ids);
        Assert.Equal(ids[1..], (await Messages.ListQuarantineAsync(ids[0], 50)).ConvertAll(message => message.Id));
        Assert.Equal((null, $"Message {ids[1]} is no event: event_id is not a UUID."), await Messages.ReturnAsync($"quarantine/{ids[1]}", Act, Now));
        Assert.StartsWith(
            $"PostgreSQL cannot store message {ids[0]}: ", (await Messages.ReturnAsync($"quarantine/{ids[0]}", Act, Now)).Problem, StringComparison.Ordinal);
        Assert.Equal(("1 messages are in the audit trail; 2 are no events and stay.", null), await Messages.ReturnAsync("quarantine/all", Act, Now));
        Assert.Equal((1, 2), (await app.Database.CountAsync("gpt_oauth_events"), await app.Database.CountAsync("audit_quarantine")));
        var told = Assert.Single(await app.Database.EventsAsync(MessageService.Returned, "operator", "user_ops")).GetProperty("payload");
        Assert.Equal(ids[2], told.GetProperty("message_id").GetInt64());
    }

    [Fact]
    public async Task Broker_that_is_away_is_said_and_the_rest_works()
    {
        await using var replica = await app.StartReplicaAsync(("RABBITMQ_URL", $"amqp://guest:guest@127.0.0.1:{TestApp.FreePort()}"));
        await QuarantineAsync([1], "not JSON");
        var messages = replica.Get<MessageService>();
        Assert.Contains("does not answer", (await messages.ListDeadAsync(50)).Problem, StringComparison.Ordinal);
        Assert.Contains("does not answer", (await messages.ReturnAsync("dead/all", Act, Now)).Problem, StringComparison.Ordinal);
        Assert.Single(await messages.ListQuarantineAsync(null, 50));

        var (exitCode, output, error) = await AppProcess.RunAsync(replica.Settings, "messages", "list");
        Assert.Equal(1, exitCode);
        Assert.Contains("quarantine/", output, StringComparison.Ordinal);
        Assert.Contains("does not answer", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Commands_list_return_and_discard_and_show_nothing_that_a_terminal_acts_on()
    {
        await DieAsync(Envelope(1), "\u001b[2J\u202Ehidden\r\n" + new string('x', 10_000));
        await app.Database.ExecuteAsync("""
            INSERT INTO outbox_stranded (position, event_id, routing_key, envelope, occurred_at)
            SELECT n, gen_random_uuid(), 'gpt.odd.type', '{}', now() FROM generate_series(1, 3) n
            """);
        var (_, output, _) = await RunAsync("list");
        var lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(3, lines.Length);
        Assert.DoesNotContain(output, letter => (char.IsControl(letter) && letter != '\n') || letter == '\u202E');
        Assert.StartsWith("stranded/gpt.odd.type", lines[2], StringComparison.Ordinal);
        var json = (await RunAsync("list", "--json")).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonElement.Parse(line))
            .ToList();
        Assert.Equal(3, json[2].GetProperty("count").GetInt32());

        Assert.Equal((0, "3 events are back in the outbox.\n", ""), await RunAsync("return", "stranded/gpt.odd.type", "--by", "ada", "--reason", "bound"));
        Assert.Single(await app.Database.EventsAsync(MessageService.Returned, "operator", "command:ada"));
        Assert.Equal((1, "", "No such event is set aside.\n"), await RunAsync("return", "stranded/all"));
        Assert.Equal((0, "1 dead letters are back in gpt-audit-events.\n", ""), await RunAsync("return", json[0].GetProperty("id").GetString()!));
        var bad = json[1].GetProperty("id").GetString()!;
        Assert.Contains("--reason", (await RunAsync("discard", bad)).Error, StringComparison.Ordinal);
        Assert.Equal((0, bad + " is thrown away.\n", ""), await RunAsync("discard", bad, "--reason", "noise"));
        Assert.Contains("names no message", (await RunAsync("return", "12")).Error, StringComparison.Ordinal);
    }

    private static string Envelope(int number) => $$"""
        {"event_id":"0199aaaa-0000-7000-8000-00000000000{{number}}","event_type":"gpt.oauth.authorize","timestamp":"2026-11-01T00:00:00Z","payload":{"a":"x"} }
        """;

    /// <summary>As the trigger gives messages up: rejected without requeue.</summary>
    private async Task DieAsync(params string[] messages)
    {
        foreach (var message in messages)
        {
            await broker.PublishAsync(AuditSettings.Queue, message, properties =>
                properties.Headers = new Dictionary<string, object?>(StringComparer.Ordinal) { ["x-ms-rabbitmq-requeuecount"] = 5 });
        }

        await using var connection = await new ConnectionFactory { Uri = new Uri(broker.Url) }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        for (var left = messages.Length; left > 0; left--)
        {
            var found = (await channel.BasicGetAsync(AuditSettings.Queue, autoAck: false))!;
            await channel.BasicRejectAsync(found.DeliveryTag, requeue: false);
        }

        await Wait.UntilAsync(async () => await broker.CountAsync(AuditSettings.DeadLetters) == messages.Length);
    }

    private Task QuarantineAsync(byte[] message, string reason) =>
        app.Get<AuditTrailStore>().QuarantineAsync(reason, message, CancellationToken.None);

    private Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] words) => AppProcess.RunAsync(app.Settings, ["messages", .. words]);
}
