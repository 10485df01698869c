using System.Diagnostics;
using System.Net;
using System.Text.Json;
using GptFunctions.Data;
using GptFunctions.Hosting;
using GptFunctions.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace GptFunctions.Tests.Health;

/// <summary>health.md 9 to 12: the matrix with each server and secret taken away in turn. With a broker: <see cref="SelfTestBrokerTests"/>.</summary>
public sealed class SelfTestTests : IAsyncLifetime
{
    private static readonly TimeSpan AboutThreeSeconds = TimeSpan.FromSeconds(5); // on a busy machine
    private SelfTestBench bench = null!;

    private TestApp App => bench.App;

    public async Task InitializeAsync() => bench = await SelfTestBench.StartAsync(nameof(SelfTestTests));

    public async Task DisposeAsync() => await bench.DisposeAsync();

    [Fact]
    public async Task Database_away_is_a_blocker_and_what_cannot_be_known_is_degraded()
    {
        await bench.UntilAsync(HttpStatusCode.OK);
        await bench.Database.CutAsync();
        var matrix = await bench.RunAsync();
        Assert.Equal(HttpStatusCode.ServiceUnavailable, matrix.Status);
        Assert.Equal("blocker", matrix.Json.GetProperty("status").GetString());
        Assert.Equal(
            [
                "callbacks degraded", "change_feed degraded", "countdowns degraded", "database blocker", "outbox degraded", "purge degraded",
                "stripe degraded",
            ], matrix.NotOk);
        Assert.Equal("""{"total":17,"passed":10,"safe_mode":0,"degraded":6,"blocker":1}""", matrix.Json.GetProperty("metrics").ToString());
        Assert.Equal((HttpStatusCode.ServiceUnavailable, """{"status":"unhealthy","reason":"database_disconnected"}"""), await SimpleAsync());

        bench.Database.Restore();
        await bench.UntilAsync(HttpStatusCode.OK);
        App.Clock.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal((HttpStatusCode.OK, """{"status":"healthy"}"""), await SimpleAsync());
    }

    [Fact]
    public async Task Database_that_hangs_is_answered_within_about_three_seconds()
    {
        await bench.UntilAsync(HttpStatusCode.OK);
        bench.Database.Silence();
        bench.Feed.Silence();
        var watch = Stopwatch.StartNew();
        var (matrix, simple) = (bench.RunAsync(), SimpleAsync());
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await simple).Status);
        Assert.InRange(watch.Elapsed, TimeSpan.Zero, AboutThreeSeconds);
        Assert.Contains("database blocker", (await matrix).NotOk);
        Assert.Contains("change_feed degraded", (await matrix).NotOk);
        Assert.InRange(watch.Elapsed, TimeSpan.Zero, AboutThreeSeconds);

        bench.Database.Speak();
        bench.Feed.Speak();
        await bench.UntilAsync(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Change_feed_away_degrades()
    {
        await bench.UntilAsync(HttpStatusCode.OK);
        await bench.Feed.CutAsync();
        await bench.UntilAsync(HttpStatusCode.OK, "change_feed degraded");
        bench.Feed.Restore();
        await bench.UntilAsync(HttpStatusCode.OK);

        bench.Feed.Silence(); // the connection stands, and nothing comes
        Assert.Equal(["change_feed degraded"], (await bench.RunAsync()).NotOk);
        bench.Feed.Speak();
        await bench.UntilAsync(HttpStatusCode.OK);
    }

    /// <summary>Right after the start, when nothing was lost yet and log 6001 says nothing.</summary>
    [Fact]
    public async Task Change_feed_that_is_about_to_connect_is_waited_for()
    {
        using var feed = ActivatorUtilities.CreateInstance<ChangeFeed>(App.Get<IServiceProvider>());
        var check = ActivatorUtilities.CreateInstance<ChangeFeedCheck>(App.Get<IServiceProvider>(), feed);
        var finding = new Finding();
        await feed.StartAsync(CancellationToken.None);
        SpinWait.SpinUntil(() => feed.IsUsed);
        await check.RunAsync(finding, CancellationToken.None);
        await feed.StopAsync(CancellationToken.None);
        Assert.Null(finding.Error);
        Assert.Equal("true", finding.Details["listening"]!.ToJsonString());
    }

    /// <summary>Every process hears the notices of all: none may miss its own because of another's.</summary>
    [Fact]
    public async Task Change_feed_checks_of_many_processes_at_once_each_hear_their_own_notice()
    {
        await Task.WhenAll(Enumerable.Range(0, 4).Select(async _ =>
        {
            var check = ActivatorUtilities.CreateInstance<ChangeFeedCheck>(App.Get<IServiceProvider>(), App.Get<ChangeFeed>());
            for (var run = 0; run < 250; run++)
            {
                var finding = new Finding();
                await check.RunAsync(finding, CancellationToken.None);
                Assert.Null(finding.Error);
            }
        }));
    }

    [Fact]
    public async Task Clerk_away_or_unusable_is_a_blocker_because_nobody_can_sign_in()
    {
        bench.Clerk.IsDown = true;
        await bench.UntilAsync(HttpStatusCode.ServiceUnavailable, "clerk blocker");
        bench.Clerk.IsDown = false;
        await bench.UntilAsync(HttpStatusCode.OK);
        bench.Clerk.Instead["/.well-known/jwks.json"] = (context, _) => context.Response.Body.WriteAsync("{}"u8.ToArray()).AsTask();
        await bench.UntilAsync(HttpStatusCode.ServiceUnavailable, "clerk blocker");

        var gate = new TaskCompletionSource();
        bench.Clerk.Instead["/.well-known/jwks.json"] = (_, _) => gate.Task;
        var watch = Stopwatch.StartNew();
        Assert.Equal(["clerk blocker"], (await bench.RunAsync()).NotOk);
        Assert.InRange(watch.Elapsed, TimeSpan.Zero, AboutThreeSeconds);
        gate.SetResult();
        bench.Clerk.Instead.Clear();
        await bench.UntilAsync(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Upstream_away_or_hanging_is_a_blocker_when_there_is_no_other()
    {
        bench.Upstream.Refuse();
        await bench.UntilAsync(HttpStatusCode.ServiceUnavailable, "gateway_upstreams blocker");
        bench.Upstream.Take();
        await bench.UntilAsync(HttpStatusCode.OK);

        await bench.Upstream.HangAsync();
        var watch = Stopwatch.StartNew();
        Assert.Equal(["gateway_upstreams blocker"], (await bench.RunAsync()).NotOk);
        Assert.InRange(watch.Elapsed, TimeSpan.Zero, AboutThreeSeconds);
        bench.Upstream.Take();
        await bench.UntilAsync(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Secret_that_is_taken_away_degrades_and_one_that_is_needed_stays_in_force()
    {
        await bench.UntilAsync(HttpStatusCode.OK);
        var (stripe, key) = (Path.Combine(bench.Secrets.FullName, "stripe-webhook-secret"), Path.Combine(bench.Secrets.FullName, "gpt-ec-private-key"));
        var (secret, pem) = (await File.ReadAllTextAsync(stripe), await File.ReadAllTextAsync(key));
        File.Delete(stripe);
        File.Delete(key);
        await bench.UntilAsync(HttpStatusCode.OK, "secrets_mount degraded", "webhook_stripe degraded");
        Assert.Contains("GPT_EC_PRIVATE_KEY is missing", (await bench.RunAsync()).Error("secrets_mount"), StringComparison.Ordinal);

        await File.WriteAllTextAsync(stripe, secret);
        await File.WriteAllTextAsync(key, pem);
        await bench.UntilAsync(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Wrong_key_is_answered_like_none_and_the_details_are_for_the_right_one()
    {
        var (none, noneHeaders) = await AskAsync(null);
        var (wrong, wrongHeaders) = await AskAsync("service-key-of-the-tests-012345678X");
        Assert.Equal(none, wrong);
        Assert.Equal(noneHeaders, wrongHeaders);
        Assert.All(
            JsonElement.Parse(none).GetProperty("subsystems").EnumerateObject(),
            part => Assert.Equal(["status"], part.Value.EnumerateObject().Select(member => member.Name)));
        var (right, _) = await AskAsync(App.Settings["SERVICE_KEY"]);
        Assert.Contains("\"round_trip_ms\":", right, StringComparison.Ordinal);
        Assert.All(
            (string[])["password", "amqp:", "postgres:", App.Settings["SERVICE_KEY"]!, App.Settings["ORDERS_WEBHOOK_SECRET"]!],
            secret => Assert.DoesNotContain(secret, right, StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public async Task Hundred_callers_at_once_are_one_run_that_is_kept_for_five_seconds()
    {
        await bench.RunAsync();
        App.Clock.Advance(TimeSpan.FromSeconds(5));
        var before = bench.Clerk.KeyReads;
        var answers = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => AskAsync(App.Settings["SERVICE_KEY"])));
        Assert.Single(answers.Select(answer => answer.Body).Distinct(StringComparer.Ordinal));
        Assert.Equal(before + 2, bench.Clerk.KeyReads); // where Clerk documents the keys, and where its discovery document does
        App.Clock.Advance(TimeSpan.FromSeconds(3));
        await AskAsync(null);
        Assert.Equal(before + 2, bench.Clerk.KeyReads);
        App.Clock.Advance(TimeSpan.FromSeconds(2));
        await AskAsync(null);
        Assert.Equal(before + 4, bench.Clerk.KeyReads);
    }

    private async Task<(string Body, string Headers)> AskAsync(string? key)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("/__selftest", UriKind.Relative));
        request.Headers.Add("x-correlation-id", "selftest");
        if (key is not null)
        {
            request.Headers.Add("X-Service-Key", key);
        }

        using var answer = await App.Http.SendAsync(request);
        answer.Headers.Date = null;
        return (await answer.Content.ReadAsStringAsync(), $"{answer.StatusCode} {answer.Headers} {answer.Content.Headers}");
    }

    private async Task<(HttpStatusCode Status, string Body)> SimpleAsync()
    {
        using var answer = await App.Http.GetAsync(new Uri("/__selftest/simple", UriKind.Relative));
        return (answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }
}
