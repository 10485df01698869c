using GptFunctions.Hosting;

namespace GptFunctions.Statistics;

/// <summary>How much a person uses an app.</summary>
/// <param name="Calls">In the days that were asked for.</param>
internal sealed record UsageOfClient(string ClientId, long Calls, DateTimeOffset LastCallAt);

/// <summary>Refusals of a client, by reason.</summary>
/// <param name="LastHour">The newest hour (UTC) in which there was one.</param>
internal sealed record RefusalsOfReason(string Endpoint, string Reason, long Count, DateTimeOffset LastHour);

/// <summary>What was counted, for the pages of people and of operators. At most a second behind; calls a minute.</summary>
internal sealed class StatisticsService(StatisticsReportStore store, SignInStore signIns, TimeProvider clock)
{
    /// <summary>How often each app called for a person in the last days, today included; apps that did not are missing.</summary>
    public Task<List<UsageOfClient>> UsageOfAsync(Guid userId, int days = 30) =>
        store.ReadUsageAsync(userId, DateOnly.FromDateTime(clock.GetUtcNow().UtcDateTime).AddDays(-days));

    /// <summary>When the gateway let the last call of each of these apps through, as far as 90 days back; others are missing.</summary>
    public Task<Dictionary<string, DateTimeOffset>> LastUseOfAsync(string[] clientIds) => store.ReadLastUseAsync(clientIds);

    /// <summary>Refusals of an app in the last days, the most frequent first.</summary>
    public Task<List<RefusalsOfReason>> RefusalsOfAsync(string clientId, int days = 7) =>
        store.ReadRefusalsAsync(clientId, clock.GetUtcNow().BeginningOfHour().AddDays(-days));

    /// <summary>How many refusals each of these apps had in the last days; apps without any are missing.</summary>
    public Task<Dictionary<string, long>> CountRefusalsAsync(string[] clientIds, int days = 7) =>
        store.CountRefusalsAsync(clientIds, clock.GetUtcNow().BeginningOfHour().AddDays(-days));

    /// <summary>The newest requests of an app that were refused, with what they sent; at most <paramref name="count"/>.</summary>
    public Task<List<RefusedEntry>> NewestRefusalsAsync(string clientId, int count = 20) => store.ReadNewestAsync(clientId, count);

    /// <summary>The last 48 hours: what was counted, refusals by reason among it.</summary>
    public async Task<HourlyReport> ReadHoursAsync()
    {
        var from = clock.GetUtcNow().BeginningOfHour().AddHours(1 - HourlyReport.HoursShown); // with the one that is not over
        return new HourlyReport(from, await store.ReadHoursAsync(from));
    }

    /// <summary>Authorization requests, the newest first, with what became of each; those that were refused at once among them.</summary>
    /// <param name="limit">At most so many; the next page is <see cref="SignInFilter.After"/> the last.</param>
    public async Task<List<(SignInEntry Entry, SignInStory Story)>> ReadSignInsAsync(SignInFilter filter, int limit)
    {
        var now = clock.GetUtcNow();
        return [.. (await signIns.ReadAsync(filter, limit)).Select(entry => (entry, SignInStory.Of(entry, now)))];
    }

    /// <summary>Processes of the last day, those that live first.</summary>
    public Task<List<SeenReplica>> ReadReplicasAsync() => store.ReadReplicasAsync(clock.GetUtcNow());
}
