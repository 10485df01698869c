namespace GptFunctions.Operations.Pages;

/// <summary>A part of the program, as the self-test found it.</summary>
/// <param name="Details">Name and value of what it measured.</param>
public sealed record SubsystemLine(string Name, string State, string? Error, IReadOnlyList<(string Name, string Value)> Details, long Milliseconds);

/// <summary>A process of the program.</summary>
public sealed record ReplicaLine(
    string Name, string Role, string Version, bool IsSafeMode, DateTimeOffset StartedAt, DateTimeOffset SeenAt, bool IsAlive);

/// <summary>What the first page shows.</summary>
/// <param name="State">Of the self-test as a whole.</param>
/// <param name="SafeModeReasons">Empty while safe mode is off.</param>
public sealed record Overview(
    DateTimeOffset TestedAt, string State, IReadOnlyList<string> SafeModeReasons, IReadOnlyList<SubsystemLine> Subsystems,
    IReadOnlyList<ReplicaLine> Replicas, IReadOnlyList<HourBars> Charts)
{
    /// <summary>Of the processes that live.</summary>
    public IReadOnlyList<string> Versions =>
        [.. Replicas.Where(replica => replica.IsAlive).Select(replica => replica.Version).Distinct(StringComparer.Ordinal)];

    /// <summary>What the self-test measured; null when it could not.</summary>
    public string? Detail(string subsystem, string name) =>
        Subsystems.FirstOrDefault(line => line.Name == subsystem)?.Details.FirstOrDefault(detail => detail.Name == name).Value is { Length: > 0 } value
            ? value : null;
}
