using GptFunctions.Audit;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Telemetry;

/// <summary>
/// The program in a process of its own, with a broker, an upstream and a collector. The app in this process shares its database and keys, and has no
/// telemetry: tests add clients and users with it.
/// </summary>
public sealed class TelemetryFixture : GatewayFixture<TelemetryFixture>
{
    private TestBroker broker = null!;

    internal AppProcess Program { get; private set; } = null!;

    internal TestCollector Collector { get; private set; } = null!;

    internal OAuthFlow Flow { get; private set; } = null!;

    /// <summary>What the program runs with, its collector aside.</summary>
    internal Dictionary<string, string?> ProgramSettings { get; private set; } = null!;

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        broker = await TestBroker.ConnectAsync();
        Collector = await TestCollector.StartAsync();
        await broker.DeleteAsync(AuditSettings.Queue, AuditSettings.DeadLetters); // what an earlier run left
        ProgramSettings = App.Settings.With(
            new Dictionary<string, string?>(StringComparer.Ordinal) { ["RABBITMQ_URL"] = broker.Url, ["OUTBOX_RELAY"] = "true" });
        var (exitCode, output, error) = await AppProcess.RunAsync(ProgramSettings, "setup");
        Assert.True(exitCode == 0, output + error);
        Program = await AppProcess.StartAsync(ProgramSettings.With(Collector.Settings));
        Flow = new OAuthFlow(Program.Http);
    }

    public override async Task DisposeAsync()
    {
        await Program.DisposeAsync();
        await Collector.DisposeAsync();
        await broker.DisposeAsync();
        await base.DisposeAsync();
    }
}
