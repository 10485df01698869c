using System.Threading.Channels;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.RateLimits;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace GptFunctions.Plans;

/// <summary>How a user stands with a quota of their plan.</summary>
/// <param name="Plan">Null: has none.</param>
/// <param name="Limit">Of a calendar month; 0: not included, or not paid for; <see cref="PlanTable.Unlimited"/>.</param>
/// <param name="ResetsAt">When the next month begins.</param>
internal sealed record QuotaState(string Quota, string? Plan, int Limit, long Used, DateTimeOffset ResetsAt)
{
    public bool HasLimit => Limit != PlanTable.Unlimited;
}

/// <summary>
/// What plans give and what was used of it. Units are counted before a call leaves and given back when nothing came of it; while the database is
/// away those wait here, so that an upstream's failure costs nobody anything.
/// </summary>
internal sealed partial class UsageService(PlanTable plans, UsageStore store, IOptions<PlanSettings> settings, ILogger<UsageService> logger)
    : SteadyService(logger)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);
    private readonly Channel<QuotaUnit> waiting = Channel.CreateUnbounded<QuotaUnit>(new() { SingleReader = true });

    /// <summary>What the user's plan says of a quota now; nothing is read, and <see cref="QuotaState.Used"/> is 0.</summary>
    public QuotaState StateOf(InternalUser user, string quota, DateTimeOffset now) =>
        new(quota, plans.Of(user), plans.AmountOf(user, quota, now, settings.Value.Grace), 0,
            new(MonthOf(now).AddMonths(1), TimeOnly.MinValue, TimeSpan.Zero));

    public bool IsPaidFor(InternalUser user, DateTimeOffset now) => user.Plan is null || PlanTable.IsLive(user, now, settings.Value.Grace);

    /// <summary>The plan that counts for a user; null when there is none.</summary>
    public string? PlanOf(InternalUser user) => plans.Of(user);

    /// <summary>The unit that a call of this user would use.</summary>
    public static QuotaUnit UnitOf(InternalUser user, QuotaState state, DateTimeOffset now) =>
        new(Guid.CreateVersion7(now), user.Id, state.Quota, MonthOf(now), state.Limit);

    /// <summary>Every quota that there is, as it stands for a user.</summary>
    /// <exception cref="NpgsqlException">The database is away.</exception>
    public async Task<IReadOnlyList<QuotaState>> ReadAsync(InternalUser user, DateTimeOffset now)
    {
        var used = await store.ReadAsync(user.Id, MonthOf(now));
        return [.. plans.Quotas.Order(StringComparer.Ordinal).Select(quota => StateOf(user, quota, now) with { Used = used.GetValueOrDefault(quota) })];
    }

    /// <summary>Gives a unit back, once, however often this is called: now, or as soon as the database is back.</summary>
    public async Task GiveBackAsync(QuotaUnit unit)
    {
        if (!await TryGiveBackAsync(unit))
        {
            GiveBackLater(unit);
        }
    }

    /// <summary>Gives a unit back that may have been counted by a statement whose answer never came.</summary>
    public void GiveBackLater(QuotaUnit unit) => waiting.Writer.TryWrite(unit);

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        while (waiting.Reader.TryRead(out var unit)) // the server has stopped before: nothing comes after this
        {
            if (!await TryGiveBackAsync(unit))
            {
                LogLost(waiting.Reader.Count + 1);
                return;
            }
        }
    }

    protected override async Task<bool> StepAsync(CancellationToken stoppingToken)
    {
        await waiting.Reader.WaitToReadAsync(stoppingToken);
        await Task.Delay(Pause, stoppingToken); // a statement that was given up has ended by then
        while (waiting.Reader.TryPeek(out var unit) && await TryGiveBackAsync(unit))
        {
            waiting.Reader.TryRead(out _);
        }

        return true;
    }

    private async Task<bool> TryGiveBackAsync(QuotaUnit unit)
    {
        try
        {
            await store.GiveBackAsync(unit);
            return true;
        }
        catch (Exception error) when (error is NpgsqlException || ErrorMapper.IsOutage(error))
        {
            LogWaiting(unit.Quota, error.Message);
            return false;
        }
    }

    private static DateOnly MonthOf(DateTimeOffset now) => new(now.UtcDateTime.Year, now.UtcDateTime.Month, 1);

    [LoggerMessage(6016, LogLevel.Debug, "A unit of {Quota} waits to be given back: {Reason}")]
    private partial void LogWaiting(string quota, string reason);

    [LoggerMessage(6017, LogLevel.Warning, "{Count} units of monthly quotas could not be given back before this process ended, because the database is away")]
    private partial void LogLost(int count);
}
