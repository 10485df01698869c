using System.Net;
using GptFunctions.Gateway;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Gateway;

/// <summary>
/// Audited actions while the database goes away and processes are killed: what reached the upstream has its row, and every attempt has one end.
/// </summary>
[Trait("Category", "Chaos")]
public sealed class ActionFaultTests(ActionFaultFixture fixture) : IClassFixture<ActionFaultFixture>
{
    private const int Callers = 8;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly TestDatabase database = fixture.App.Database;
    private readonly List<AppProcess> processes = [];
    private int answered;
    private int refused;
    private int turn;

    [Fact]
    public async Task Every_upstream_action_has_its_row_and_every_attempt_an_end()
    {
        await using var proxy = new TestProxy(database.Url);
        var settings = fixture.App.Settings.With([new("DATABASE_URL", proxy.Url)]);
        processes.Add(await AppProcess.StartAsync(settings));
        processes.Add(await AppProcess.StartAsync(settings));
        using var stop = new CancellationTokenSource();
        var load = Enumerable.Range(0, Callers).Select(_ => Task.Run(() => CallAsync(stop.Token))).ToList();
        try
        {
            await AfterAsync(() => answered, 200);
            for (var outage = 0; outage < 3; outage++)
            {
                await proxy.CutAsync();
                await AfterAsync(() => refused, 40);
                proxy.Restore();
                await AfterAsync(() => answered, 100);
            }

            for (var kill = 0; kill < 6; kill++)
            {
                var victim = processes[kill % 2];
                await victim.KillAsync();
                processes[kill % 2] = await AppProcess.StartAsync(settings);
                await victim.DisposeAsync();
                await AfterAsync(() => answered, 60);
            }
        }
        finally
        {
            await stop.CancelAsync();
            await Task.WhenAll(load);
            await Task.WhenAll(processes.Select(process => process.StopAsync())); // they write what they know
            await Task.WhenAll(processes.Select(process => process.DisposeAsync().AsTask()));
        }

        await AssertCompleteAsync();
    }

    private async Task AssertCompleteAsync()
    {
        var known = new HashSet<string>(StringComparer.Ordinal);
        await using (var command = database.Source.CreateCommand(
            "SELECT envelope ->> 'correlation_id' FROM outbox_messages WHERE routing_key = 'gpt.action.expensive'"))
        await using (var reader = await command.ExecuteReaderAsync())
        {
            while (await reader.ReadAsync())
            {
                Assert.True(known.Add(reader.GetString(0)));
            }
        }

        var acted = await fixture.Upstream.ActionsAsync();
        Assert.True(acted.Count >= 800);
        Assert.Empty(acted.Except(known, StringComparer.Ordinal));

        var store = fixture.App.Get<ActionStore>();
        await store.CloseAsync(TimeSpan.Zero, TimeSpan.Zero);
        var unknown = await store.CloseAsync(TimeSpan.Zero, TimeSpan.Zero);
        Assert.Equal(0, await database.CountAsync("gpt_open_actions"));
        Assert.Equal(known.Count, await database.CountAsync("outbox_messages", "routing_key = 'gpt.action.expensive.result'"));
        Assert.Equal(known.Count, await database.ScalarAsync<long>(
            """
            SELECT count(DISTINCT attempt.event_id)
            FROM outbox_messages result JOIN outbox_messages attempt ON attempt.event_id::text = result.envelope #>> '{payload,action_id}'
            WHERE result.routing_key = 'gpt.action.expensive.result'
            """));
        Assert.Equal(
            unknown,
            await database.CountAsync("outbox_messages", "routing_key = 'gpt.action.expensive.result' AND envelope #>> '{payload,status}' = 'unknown'"));
        // Only what was under way or just answered when a process was killed, and what the database took without being able to say so.
        Assert.InRange(unknown, 0, known.Count / 4);
    }

    private async Task CallAsync(CancellationToken stop)
    {
        var user = await fixture.Users.AddAsync();
        while (!stop.IsCancellationRequested)
        {
            try
            {
                var http = processes[Interlocked.Increment(ref turn) & 1].Http;
                using var response = await http.CallAsync(
                    user.Token, "/gpt/expensive", HttpMethod.Post, headers: [("x-correlation-id", Guid.NewGuid().ToString("N"))]);
                Interlocked.Increment(ref response.StatusCode == HttpStatusCode.OK ? ref answered : ref refused);
            }
            catch (Exception error) when (error is HttpRequestException or TaskCanceledException or IOException or ObjectDisposedException)
            {
                // Killed: the next one answers.
            }
        }
    }

    private static Task AfterAsync(Func<int> count, int more)
    {
        var goal = count() + more;
        return Wait.UntilAsync(() => Task.FromResult(count() >= goal), Patience);
    }
}

public sealed class ActionFaultFixture : GatewayFixture<ActionFaultTests>
{
    protected override IEnumerable<KeyValuePair<string, string?>> Settings => [new("GATEWAY_EXPENSIVE_LIMIT", "100000")];
}
