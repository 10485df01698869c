using System.Text.Json;
using System.Text.Json.Serialization;
using GptFunctions.Hosting;
using GptFunctions.Maintenance;

namespace GptFunctions.Webhooks;

/// <summary>
/// Which failed events are to be handled again, as it was typed: times count from the start of the run (<see cref="TimeText"/>), so that the same words
/// go on with a run that was stopped.
/// </summary>
internal sealed record ReplayAsked
{
    public string? Source { get; init; }

    public string? Type { get; init; }

    public string? Subject { get; init; }

    public string? Since { get; init; }

    public string? Until { get; init; }

    /// <summary>What has failed before the start of the run, and is let through by the rest.</summary>
    public WebhookFilter ToFilter(DateTimeOffset start) => new()
    {
        Source = Source,
        Type = Type,
        Status = "failed",
        Subject = Subject,
        Since = TimeText.Parse(Since, start),
        Until = TimeText.Parse(Until, start) is { } until && until < start ? until : start,
    };
}

/// <summary>How far a replay is: events by what became of them.</summary>
internal sealed record ReplayCounts
{
    /// <summary>When the run began.</summary>
    public long Found { get; init; }

    public long Completed { get; init; }

    public long Ignored { get; init; }

    public long SkippedStale { get; init; }

    public long Failed { get; init; }

    /// <summary>Somebody else handled them meanwhile, most likely their sender.</summary>
    public long Elsewhere { get; init; }

    [JsonIgnore]
    public long Tried => Completed + Ignored + SkippedStale + Failed + Elsewhere;

    public ReplayCounts With(string? outcome) => outcome switch
    {
        "completed" => this with { Completed = Completed + 1 },
        "ignored" => this with { Ignored = Ignored + 1 },
        "skipped_stale" => this with { SkippedStale = SkippedStale + 1 },
        null or "duplicate" or "in_progress" => this with { Elsewhere = Elsewhere + 1 },
        _ => this with { Failed = Failed + 1 },
    };
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ReplayAsked))]
[JsonSerializable(typeof(ReplayCounts))]
internal sealed partial class ReplayJson : JsonSerializerContext;

/// <summary>
/// Handles again what matches and has failed, each event once in a run, one after the other and no more than <see cref="MostPerSecond"/> a second, so
/// that live events keep the database. It needs no note of where it stands: what it has tried has either not failed, or has failed after its start.
/// </summary>
internal sealed class WebhookReplayJob(WebhookService webhooks, InboxStore inbox, IEnumerable<IWebhookSource> sources, TimeProvider clock) : IMaintenanceJob
{
    public const string JobName = "webhooks_replay";
    public const string Started = "gpt.operator.webhooks_replay_started";
    public const string Stopped = "gpt.operator.webhooks_replay_stopped";
    public const int MostPerSecond = 50;
    public const int MostCounted = 1_000_000;
    private const int BatchSize = 200;
    private static readonly TimeSpan Pace = TimeSpan.FromSeconds(1) / MostPerSecond;

    private readonly Dictionary<string, IWebhookSource> byName = sources.ToDictionary(source => source.Name, StringComparer.Ordinal);

    public string Name => JobName;

    public string StartedEvent => Started;

    public string StoppedEvent => Stopped;

    public bool Resumes => true;

    public async Task<JobEnd> RunAsync(MaintenanceWork work, CancellationToken over)
    {
        var filter = work.Asked.Deserialize(ReplayJson.Default.ReplayAsked)!.ToFilter(work.StartedAt);
        var counts = JsonSerializer.Deserialize(work.Counts, ReplayJson.Default.ReplayCounts)!;
        if (counts.Found == 0)
        {
            counts = counts with { Found = await inbox.CountAsync(filter, MostCounted) };
        }

        var position = new WebhookPosition(filter.Since ?? DateTimeOffset.MinValue, "", "");
        while (await inbox.ListFailedAsync(filter, position, [.. byName.Keys], BatchSize) is { Count: > 0 } failed)
        {
            foreach (var item in failed)
            {
                if (over.IsCancellationRequested)
                {
                    return JobEnd.Unfinished;
                }

                var began = clock.GetTimestamp();
                counts = counts.With(await ReplayAsync(item, work));
                work.Counts = JsonSerializer.Serialize(counts, ReplayJson.Default.ReplayCounts);
                await Task.Delay(Rest(began), clock, CancellationToken.None);
            }

            var last = failed[^1];
            position = new WebhookPosition(last.ProcessedAt, last.Source, last.EventId);
        }

        return JobEnd.Completed;
    }

    private async Task<string?> ReplayAsync(FailedEvent item, MaintenanceWork work)
    {
        var now = clock.GetUtcNow();
        var occasion = new Occasion(now < work.StartedAt ? work.StartedAt : now, $"replay-{work.Id}", "replay");
        return (await webhooks.ReplayAsync(byName[item.Source], item.EventId, act: null, occasion, failedBefore: work.StartedAt))?.Outcome;
    }

    private TimeSpan Rest(long began) => Pace - clock.GetElapsedTime(began) is var rest && rest > TimeSpan.Zero ? rest : TimeSpan.Zero;
}
