using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Audit;

/// <summary>
/// audit.md 12: servers stop and processes die under load, and in the end every committed change has exactly one
/// audit row. On servers of its own.
/// </summary>
[Trait("Category", "Chaos")]
public sealed class ChaosTests : IAsyncLifetime
{
    private const int Clients = 4;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan Recovery = TimeSpan.FromSeconds(60);
    private readonly PrivateServices services = new("chaos");
    private readonly List<AppProcess> processes = [];
    private TestDatabase database = null!;
    private Dictionary<string, string?> settings = null!;
    private TestClient client = null!;
    private int turn;

    public async Task InitializeAsync()
    {
        await services.StartAsync();
        database = await TestDatabase.CreateOnAsync(services.DatabaseUrl, nameof(ChaosTests));
        settings = TestApp.DefaultSettings(database.Url, 0).With(
            [
                new("RABBITMQ_URL", services.BrokerUrl), new("OUTBOX_RELAY", "true"), new("GPT_MAX_SESSIONS_PER_USER", "100"),
                new("GPT_MAX_SESSIONS_IN_ALL", "100"), new("GPT_REFRESH_LIMIT", "1000000")]);
        settings["PUBLIC_BASE_URL"] = "http://127.0.0.1:7071";
        await using (var broker = await TestBroker.ConnectAsync(services.BrokerUrl))
        {
            await broker.DeleteAsync(AuditSettings.Queue, AuditSettings.DeadLetters); // what an earlier run left
        }

        var (exitCode, output, error) = await AppProcess.RunAsync(settings, "setup");
        Assert.True(exitCode == 0, output + error);
        client = new TestClient(settings["GPT_CLIENT_ID"]!, settings["GPT_CLIENT_SECRET"], settings["GPT_REDIRECT_URI"]!);
        processes.Add(await AppProcess.StartAsync(settings));
        processes.Add(await AppProcess.StartAsync(settings));
    }

    public async Task DisposeAsync()
    {
        foreach (var process in processes)
        {
            await process.DisposeAsync();
        }

        await database.DisposeAsync();
        await services.DisposeAsync();
    }

    [Fact]
    public async Task Audit_rows_equal_committed_changes_whatever_stops()
    {
        await BrokerStopsUnderLoadAsync();
        await DatabaseRestartsUnderLoadAsync();
        await ProcessesDieUnderLoadAsync();
        await MessagesComeTwiceAsync();
        Assert.Equal(0, await database.CountAsync("audit_quarantine"));
    }

    private async Task BrokerStopsUnderLoadAsync()
    {
        await using var load = await RefreshLoad.StartAsync(client, Next, Clients, Pause);
        await AfterAsync(load, 50);
        await services.StopAsync("rabbitmq");
        await AfterAsync(load, 500); // tokens are issued all the same
        Assert.NotEqual(0, await database.CountAsync("outbox_messages"));
        await services.StartAsync("rabbitmq");
        await AfterAsync(load, 50);
        await load.StopAsync();
        await AuditRows.AssertCompleteAsync(database, Recovery);
    }

    private async Task DatabaseRestartsUnderLoadAsync()
    {
        await using var load = await RefreshLoad.StartAsync(client, Next, Clients, Pause);
        await AfterAsync(load, 50);
        await services.StopAsync("postgres");
        await services.StartAsync("postgres");
        database.Source.Clear(); // this test's own idle connections died with the server
        await AfterAsync(load, 100);
        await load.StopAsync();
        await AuditRows.AssertCompleteAsync(database, Recovery);
    }

    private async Task ProcessesDieUnderLoadAsync()
    {
        await using var load = await RefreshLoad.StartAsync(client, Next, Clients, Pause);
        for (var round = 0; round < 6; round++)
        {
            await AfterAsync(load, 40);
            var victim = processes[round % 2];
            await victim.KillAsync();
            processes[round % 2] = await AppProcess.StartAsync(settings);
            await victim.DisposeAsync();
        }

        await load.StopAsync();
        await AuditRows.AssertCompleteAsync(database, Recovery);
    }

    private async Task MessagesComeTwiceAsync()
    {
        await using var broker = await TestBroker.ConnectAsync(services.BrokerUrl);
        var envelopes = new List<string>();
        await using (var command = database.Source.CreateCommand(
            "SELECT json_build_object('event_id', event_id, 'event_type', event_type, 'timestamp', occurred_at, 'source_service', source, 'correlation_id', "
                + "correlation_id, 'payload', metadata)::text FROM gpt_oauth_events LIMIT 200"))
        await using (var reader = await command.ExecuteReaderAsync())
        {
            while (await reader.ReadAsync())
            {
                envelopes.Add(reader.GetString(0));
            }
        }

        foreach (var envelope in envelopes)
        {
            await broker.PublishAsync(AuditSettings.Queue, envelope);
        }

        await Wait.UntilAsync(async () => await broker.CountAsync(AuditSettings.Queue) == 0);
        await AuditRows.AssertCompleteAsync(database, Recovery);
        Assert.Equal(0u, await broker.CountAsync(AuditSettings.DeadLetters));
    }

    private HttpClient Next() => processes[Interlocked.Increment(ref turn) & 1].Http;

    private static Task AfterAsync(RefreshLoad load, int more)
    {
        var goal = load.Answered + more;
        return Wait.UntilAsync(() => Task.FromResult(load.Answered >= goal), Recovery);
    }
}
