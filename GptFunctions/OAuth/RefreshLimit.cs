using System.Security.Cryptography;
using System.Text;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Microsoft.Extensions.Logging;

namespace GptFunctions.OAuth;

/// <summary>
/// Refreshes beyond a session's limit: refused from memory until the next one is admitted, and told in the audit trail as one event for each session and
/// minute. A process that is killed takes its counts of that minute along.
/// </summary>
internal sealed partial class RefreshLimit(RefreshStore store, TimeProvider clock, ILogger<RefreshLimit> logger) : SteadyService(logger)
{
    public static readonly TimeSpan Period = TimeSpan.FromMinutes(1);
    private const int Capacity = 10_000;
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(5);
    private readonly Lock turn = new();
    private readonly Dictionary<byte[], Refused> refused = new(HashComparer.Instance); // by who presented what
    private readonly Dictionary<Guid, LimitedSession> sessions = [];

    private readonly record struct Refused(LimitedSession Session, DateTimeOffset Until);

    /// <summary>The seconds for which the same token of the same client is refused for certain, and counts it then.</summary>
    public int? Refuse(Rotation rotation)
    {
        lock (turn)
        {
            if (refused.Count == 0 || !refused.TryGetValue(KeyOf(rotation), out var known) || known.Until <= rotation.Occasion.Now)
            {
                return null;
            }

            known.Session.Tries++;
            return Seconds(known.Until - rotation.Occasion.Now);
        }
    }

    /// <summary>Counts a refresh that the limit of its session refused.</summary>
    /// <returns>Whole seconds until one is admitted.</returns>
    public int Add(Rotation rotation, Guid sessionId, TimeSpan wait)
    {
        lock (turn)
        {
            if (!sessions.TryGetValue(sessionId, out var session))
            {
                session = new LimitedSession(sessionId, rotation.Occasion);
                if (sessions.Count < Capacity)
                {
                    sessions.Add(sessionId, session);
                }
            }

            session.Tries++;
            if (refused.Count < Capacity || refused.ContainsKey(KeyOf(rotation)))
            {
                refused[KeyOf(rotation)] = new Refused(session, rotation.Occasion.Now + wait);
            }

            return Seconds(wait);
        }
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await TellAsync(DateTimeOffset.MaxValue);
    }

    protected override async Task<bool> StepAsync(CancellationToken stoppingToken)
    {
        await Task.Delay(Pause, clock, stoppingToken);
        await TellAsync(clock.GetUtcNow() - Period);
        return true;
    }

    /// <summary>Tells of each session whose count began by then. What another process told of within the minute, or cannot be written, waits.</summary>
    private async Task TellAsync(DateTimeOffset latestStart)
    {
        var now = clock.GetUtcNow();
        foreach (var session in Due(latestStart, now))
        {
            try
            {
                if (await store.TellLimitedAsync(session, now))
                {
                    continue;
                }
            }
            catch (Exception error) when (error is not OperationCanceledException) // whatever it is: the next time may be better
            {
                LogNotTold(session.Tries, session.Id, session.First.Now, error.Message);
            }

            PutBack(session);
        }
    }

    private List<LimitedSession> Due(DateTimeOffset latestStart, DateTimeOffset now)
    {
        lock (turn)
        {
            foreach (var (key, _) in refused.Where(known => known.Value.Until <= now).ToList())
            {
                refused.Remove(key);
            }

            var due = sessions.Values.Where(session => session.First.Now <= latestStart).ToList();
            due.ForEach(session => sessions.Remove(session.Id));
            return due;
        }
    }

    private void PutBack(LimitedSession session)
    {
        lock (turn)
        {
            session.Tries += sessions.TryGetValue(session.Id, out var newer) ? newer.Tries : 0;
            sessions[session.Id] = session;
        }
    }

    /// <summary>With the secret: whoever does not know it learns nothing of the token.</summary>
    private static byte[] KeyOf(Rotation rotation) =>
        SHA256.HashData([.. rotation.Presented.Hash, .. rotation.Client.SecretHash ?? [], .. Encoding.UTF8.GetBytes(rotation.Client.ClientId)]);

    private static int Seconds(TimeSpan wait) => Math.Max(1, (int)Math.Ceiling(wait.TotalSeconds));

    [LoggerMessage(
        2011, LogLevel.Warning, "{Tries} refreshes of session {SessionId} beyond the limit, since {Since}, could not be written to the audit trail: {Reason}")]
    private partial void LogNotTold(long tries, Guid sessionId, DateTimeOffset since, string reason);
}

/// <summary>A session whose refreshes are refused for being too many.</summary>
/// <param name="First">Of the first that was refused since the trail was told.</param>
internal sealed record LimitedSession(Guid Id, Occasion First)
{
    public long Tries { get; set; }
}
