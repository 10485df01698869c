using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using GptFunctions.Hosting;

namespace GptFunctions.Health;

/// <param name="Status">ok, degraded, or blocker when there is any.</param>
/// <param name="Timestamp">When this was found out.</param>
internal sealed record SelfTestResponse<TSubsystem>(
    CheckState Status, string Version, bool SafeMode, DateTimeOffset Timestamp, SortedDictionary<string, TSubsystem> Subsystems, SelfTestCounts Metrics);

/// <summary>What everybody may know.</summary>
internal sealed record SubsystemState(CheckState Status);

/// <summary>What operators know beside it.</summary>
internal sealed record SubsystemResponse(CheckState Status, long DurationMs, JsonObject? Details, string? Error);

/// <summary>How many subsystems there are, in all and by their own status.</summary>
internal sealed record SelfTestCounts(int Total, int Passed, int SafeMode, int Degraded, int Blocker);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, Converters = [typeof(CheckStateConverter)])]
[JsonSerializable(typeof(SelfTestResponse<SubsystemState>))]
[JsonSerializable(typeof(SelfTestResponse<SubsystemResponse>))]
internal sealed partial class SelfTestJson : JsonSerializerContext;

internal sealed class CheckStateConverter() : JsonStringEnumConverter<CheckState>(JsonNamingPolicy.SnakeCaseLower);

/// <summary>A self-test as it is told.</summary>
internal static class SelfTestResponse
{
    public static SelfTestResponse<SubsystemState> Brief(SelfTest found) => Describe(found, subsystem => new SubsystemState(subsystem.State));

    /// <summary>For operators.</summary>
    public static SelfTestResponse<SubsystemResponse> Full(SelfTest found) => Describe(found, subsystem => new SubsystemResponse(
        subsystem.State, (long)subsystem.Took.TotalMilliseconds, subsystem.Finding?.Details, subsystem.Error));

    private static SelfTestResponse<TSubsystem> Describe<TSubsystem>(SelfTest found, Func<Subsystem, TSubsystem> describe)
    {
        int Count(CheckState state) => found.Subsystems.Count(subsystem => subsystem.State == state);
        return new(
            found.State, ProgramVersion.Text, found.IsSafeMode, found.At,
            new(found.Subsystems.ToDictionary(subsystem => subsystem.Name, describe, StringComparer.Ordinal), StringComparer.Ordinal),
            new(
                found.Subsystems.Count, Count(CheckState.Ok), Count(CheckState.SafeMode), Count(CheckState.Degraded), Count(CheckState.Blocker)));
    }
}
