using System.Diagnostics;
using System.Net;
using GptFunctions.Tests.Support;
using GptFunctions.Tests.Webhooks;
using Xunit.Abstractions;

namespace GptFunctions.Tests.Plans;

/// <summary>Two processes of the program on one database, before one upstream, whose limits of a minute are in nobody's way.</summary>
public sealed class TwoProcesses : QuotaFixture<TwoProcessQuotaTests>
{
    internal AppProcess One { get; private set; } = null!;

    internal AppProcess Two { get; private set; } = null!;

    protected override IEnumerable<KeyValuePair<string, string?>> Settings => [.. base.Settings, .. WebhookSender.Settings];

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        var replicas = await Task.WhenAll(AppProcess.StartAsync(App.Settings), AppProcess.StartAsync(App.Settings));
        (One, Two) = (replicas[0], replicas[1]);
    }

    public override async Task DisposeAsync()
    {
        await One.DisposeAsync();
        await Two.DisposeAsync();
        await base.DisposeAsync();
    }
}

/// <summary>countdowns.md 14 and 18: exact over replicas, and a plan's change counts on all of them.</summary>
public sealed class TwoProcessQuotaTests(TwoProcesses fixture, ITestOutputHelper output) : IClassFixture<TwoProcesses>
{
    private const string Path = "/gpt/apply/status?code=200";
    private readonly HttpClient[] both = [fixture.One.Http, fixture.Two.Http];

    /// <summary>"100 parallel of 5: 5", ten times in a row; those that fail upstream are free.</summary>
    [Fact]
    public async Task Hundred_calls_at_once_over_two_processes_use_exactly_the_quota()
    {
        for (var round = 0; round < 10; round++)
        {
            var user = await fixture.AddUserAsync();
            var requests = await fixture.Upstream.CountAsync("requests");
            var watch = Stopwatch.StartNew();

            var statuses = await Task.WhenAll(Enumerable.Range(0, 100).Select(call => StatusAsync(both[call % 2], user)));

            Assert.Equal(5, statuses.Count(status => status == HttpStatusCode.OK));
            Assert.Equal(95, statuses.Count(status => status == HttpStatusCode.TooManyRequests));
            Assert.Equal((requests + 5, 5), (await fixture.Upstream.CountAsync("requests"), await fixture.UsedAsync(user)));
            output.WriteLine($"round {round}: 5 of 100 admitted in {watch.Elapsed.TotalMilliseconds:0} ms");
        }
    }

    /// <summary>Takes and returns of one user meet on both processes; in the end what succeeded is what is counted.</summary>
    [Fact]
    public async Task Calls_that_fail_and_calls_that_succeed_at_once_leave_what_succeeded()
    {
        var user = await fixture.AddUserAsync();
        var statuses = await Task.WhenAll(Enumerable.Range(0, 120).Select(
            call => StatusAsync(both[call % 2], user, call % 3 == 0 ? Path : "/gpt/apply/status?code=500")));

        var succeeded = statuses.Count(status => status == HttpStatusCode.OK);
        Assert.InRange(succeeded, 0, 5);
        await Wait.UntilAsync(async () => await fixture.UsedAsync(user) == succeeded);
        while (succeeded < 5)
        {
            Assert.Equal(HttpStatusCode.OK, await StatusAsync(both[succeeded++ % 2], user));
        }

        Assert.Equal(HttpStatusCode.TooManyRequests, await StatusAsync(both[0], user));
    }

    /// <summary>"A plan change by webhook counts at once on all replicas": while calls go on.</summary>
    [Fact]
    public async Task Plan_that_changes_during_the_calls_counts_at_once_on_both()
    {
        var sender = new WebhookSender(fixture.One.Http);
        var user = await fixture.AddUserAsync(null, null);
        var (customer, subscription, time) = (WebhookSender.NewId("cus"), WebhookSender.NewId("sub"), 1_700_000_000L);
        await ExpectAsync(HttpStatusCode.PaymentRequired, user);

        await ChangeAsync("created", "free");
        await ExpectAsync(HttpStatusCode.OK, user);
        await Task.WhenAll(Enumerable.Range(0, 20).Select(call => StatusAsync(both[call % 2], user)));
        await ExpectAsync(HttpStatusCode.TooManyRequests, user);
        Assert.Equal(5, await fixture.UsedAsync(user));

        var going = true;
        var calls = Task.WhenAll(both.Select(async http =>
        {
            while (Volatile.Read(ref going))
            {
                await StatusAsync(http, user);
            }
        }));
        await ChangeAsync("updated", "pro");
        await ExpectAsync(HttpStatusCode.OK, user);
        await ChangeAsync("deleted", "pro");
        await ExpectAsync(HttpStatusCode.PaymentRequired, user);
        Volatile.Write(ref going, false);
        await calls;
        var used = await fixture.UsedAsync(user);
        await ExpectAsync(HttpStatusCode.PaymentRequired, user);
        Assert.Equal(used, await fixture.UsedAsync(user));

        async Task ChangeAsync(string change, string plan) => Assert.Equal(
            HttpStatusCode.OK, (
                await sender.StripeAsync(Events.Subscription(change, time += 10, subscription, customer, plan: plan, user: user.Subject))).Status);
    }

    /// <summary>Within a second of the webhook's answer, at both.</summary>
    private async Task ExpectAsync(HttpStatusCode expected, GatewayUser user)
    {
        var watch = Stopwatch.StartNew();
        await Task.WhenAll(both.Select(async http => // who has said it is not asked again: each asking may use up some of the quota
        {
            while (await StatusAsync(http, user) is var status && status != expected)
            {
                Assert.True(watch.Elapsed < TimeSpan.FromSeconds(1), $"{http.BaseAddress} still says {status}, not {expected}, after {watch.Elapsed}.");
            }
        }));

        output.WriteLine($"{expected} at both after {watch.Elapsed.TotalMilliseconds:0} ms");
    }

    private static async Task<HttpStatusCode> StatusAsync(HttpClient http, GatewayUser user, string path = Path)
    {
        using var response = await http.CallAsync(user.Token, path);
        return response.StatusCode;
    }
}
