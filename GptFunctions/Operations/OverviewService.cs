using System.Globalization;
using System.Text.Json.Nodes;
using GptFunctions.Health;
using GptFunctions.Hosting;
using GptFunctions.Operations.Pages;
using GptFunctions.Statistics;

namespace GptFunctions.Operations;

/// <summary>How the program does, and what it did in the last two days.</summary>
internal sealed class OverviewService(SelfTestService selfTest, StatisticsService statistics, SafeMode safeMode)
{
    private static readonly string[] Steps = ["started", "signed_in", "connected"];

    public async Task<Overview> ReadAsync()
    {
        var testing = selfTest.RunAsync();
        var replicas = statistics.ReadReplicasAsync();
        var report = await statistics.ReadHoursAsync();
        var found = await testing;
        return new Overview(
            found.At, Text(found.State), [.. safeMode.Reasons], [.. found.Subsystems.OrderByDescending(subsystem => subsystem.State).Select(Line)],
            [.. (await replicas).Select(one => new ReplicaLine(one.Name, one.Role, one.Version, one.IsSafeMode, one.StartedAt, one.SeenAt, one.IsAlive))],
            [
                HourBars.Of("Sign-ins by step", "Nobody signed in.", report, HourlyCounts.SignIn, Steps),
                HourBars.Of("Code exchanges by outcome", "No code was exchanged.", report, HourlyCounts.Exchange),
                HourBars.Of("Refreshes by outcome", "No token was refreshed.", report, HourlyCounts.Refresh),
                HourBars.Of("Refusals by reason", "Nothing was refused.", report, HourlyReport.Refusal),
                HourBars.Of("Webhooks by outcome", "No webhook came.", report, HourlyCounts.Webhook),
            ]);
    }

    private static SubsystemLine Line(Subsystem subsystem) => new(
        subsystem.Name, Text(subsystem.State), subsystem.Error,
        [.. (subsystem.Finding?.Details ?? []).Select(detail => (detail.Key, Text(detail.Value)))], (long)subsystem.Took.TotalMilliseconds);

    private static string Text(JsonNode? value) => value switch
    {
        null => "",
        JsonValue one when one.TryGetValue<string>(out var text) => text,
        JsonValue one when one.TryGetValue<bool>(out var flag) => flag ? "yes" : "no",
        JsonValue one when one.TryGetValue<double>(out var number) => number.ToString(CultureInfo.InvariantCulture),
        _ => value.ToJsonString(),
    };

    private static string Text(CheckState state) => state switch
    {
        CheckState.Ok => "ok",
        CheckState.SafeMode => "safe mode",
        CheckState.Degraded => "degraded",
        _ => "blocker",
    };
}
