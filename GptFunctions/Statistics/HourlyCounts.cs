using System.Runtime.InteropServices;
using GptFunctions.Hosting;

namespace GptFunctions.Statistics;

/// <summary>What is counted by the hour.</summary>
/// <param name="Hour">Its beginning (UTC).</param>
/// <param name="Kind">One of the constants of <see cref="HourlyCounts"/>.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct HourlyCount(DateTimeOffset Hour, string Kind, string Outcome);

/// <summary>Counts that pages show by the hour, until they are written down: what happened is in the audit trail, which is too long to be counted.</summary>
internal sealed class HourlyCounts(TimeProvider clock)
{
    /// <summary>By the step that a sign-in reached.</summary>
    public const string SignIn = "sign_in";

    /// <summary>Code exchanges, by outcome, as are the next two.</summary>
    public const string Exchange = "exchange";
    public const string Refresh = "refresh";
    public const string Webhook = "webhook";

    private const int MostKinds = 5_000; // of fixed lists: some dozens an hour
    private readonly Tally<HourlyCount> counts = new(MostKinds);

    public void Add(string kind, string outcome) => counts.Add(new HourlyCount(clock.GetUtcNow().BeginningOfHour(), kind, outcome));

    /// <summary>What was added since the last time, and how much more did not fit.</summary>
    public (Dictionary<HourlyCount, long> Counts, long Lost) Take() => counts.Take();
}
