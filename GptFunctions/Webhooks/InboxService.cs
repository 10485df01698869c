using System.Text.Json;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Maintenance;

namespace GptFunctions.Webhooks;

/// <summary>The inbox for operators: what is there, one event again, all that failed again. Pages and commands do the same by it.</summary>
internal sealed class InboxService(
    InboxStore store, WebhookService webhooks, MaintenanceService maintenance, IEnumerable<IWebhookSource> sources, TimeProvider clock)
{
    /// <summary>What a list can be narrowed to.</summary>
    public static IReadOnlyList<string> Statuses { get; } = ["completed", "ignored", "skipped_stale", "failed"];

    public IReadOnlyList<string> Sources { get; } = [.. sources.Select(source => source.Name)];

    /// <summary>Null, or what is wrong with what somebody asks for.</summary>
    public string? ProblemWith(ReplayAsked asked) =>
        asked.Source is { } source && !Sources.Contains(source, StringComparer.Ordinal) ? $"'{source}' sends no webhooks: {string.Join(", ", Sources)} do."
            : asked.Since is { } since && TimeText.Parse(since, clock.GetUtcNow()) is null ? $"'{since}' is no time: {TimeText.Expected}."
            : asked.Until is { } until && TimeText.Parse(until, clock.GetUtcNow()) is null ? $"'{until}' is no time: {TimeText.Expected}."
            : null;

    /// <inheritdoc cref="InboxStore.ListAsync"/>
    public Task<List<RecordedEvent>> ListAsync(WebhookFilter filter, WebhookPosition? after, int count) => store.ListAsync(filter, after, count);

    /// <summary>How many failed events would be handled again now.</summary>
    /// <param name="most">No more are counted.</param>
    public Task<long> CountAsync(ReplayAsked asked, int most = WebhookReplayJob.MostCounted) =>
        store.CountAsync(asked.ToFilter(clock.GetUtcNow()), most);

    /// <summary>Handles one failed event again.</summary>
    /// <returns>What became of it (<see cref="WebhookResult.Outcome"/>), or why nothing did.</returns>
    public async Task<(string? Outcome, string? Problem)> ReplayAsync(string source, string eventId, OperatorAct act, Occasion occasion) =>
        ProblemWith(new ReplayAsked { Source = source }) is { } problem ? (null, problem)
            : await webhooks.ReplayAsync(webhooks.Find(source)!, eventId, act, occasion) switch
            {
                null => (null, $"{source} has no failed event with this id: see webhooks list --status failed."),
                { Status: < 300 } result => (result.Outcome, null),
                var result => (result.Outcome, $"{result.Outcome}: {result.Answer.Error}"),
            };

    /// <summary>Asks for all that match and have failed; whatever process is there does it.</summary>
    /// <returns>The run, which goes on where it was stopped if the same was asked for before; or why there is none.</returns>
    public async Task<(MaintenanceRow? Run, string? Problem)> StartReplayAsync(ReplayAsked asked, OperatorAct act, Occasion occasion)
    {
        if (ProblemWith(asked) is { } problem)
        {
            return (null, problem);
        }

        var (run, isStarted) = await maintenance.StartAsync(
            WebhookReplayJob.JobName, JsonSerializer.Serialize(asked, ReplayJson.Default.ReplayAsked), act, occasion);
        return isStarted ? (run, null)
            : run is null ? (null, "Another replay has just ended: try again.")
            : (run, $"A replay is under way (run {run.Id} of {run.StartedBy}): wait for its end, or stop it.");
    }

    /// <summary>Ends a replay after the event that it is at. Null when done, else why not.</summary>
    public Task<string?> StopReplayAsync(long run, OperatorAct act, Occasion occasion) =>
        maintenance.StopAsync(WebhookReplayJob.JobName, run, act, occasion);

    /// <summary>The replay that is under way; null when none is.</summary>
    public Task<MaintenanceRow?> FindReplayAsync() => maintenance.FindActiveAsync(WebhookReplayJob.JobName);

    /// <summary>The last replays, newest first.</summary>
    public Task<List<MaintenanceRow>> ListReplaysAsync(int count) =>
        maintenance.ListAsync([WebhookReplayJob.JobName], (DateTimeOffset.MaxValue, long.MaxValue), count);

    public static ReplayAsked AskedOf(MaintenanceRow run) => run.Asked.Deserialize(ReplayJson.Default.ReplayAsked)!;

    public static ReplayCounts CountsOf(MaintenanceRow run) => run.Counts.Deserialize(ReplayJson.Default.ReplayCounts)!;
}
