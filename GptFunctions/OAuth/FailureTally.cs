using System.Runtime.InteropServices;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace GptFunctions.OAuth;

/// <summary>
/// Failed client authentications beyond the limits. Each would be a row of the audit trail that an attacker decides about, so they are counted
/// here, and told as one event when the window is over or the process stops: an attack that ends is told too. A process that is killed takes
/// its counts of that window along; the failures up to the limit are in the trail one by one.
/// </summary>
internal sealed partial class FailureTally(AuditLog audit, TimeProvider clock, ILogger<FailureTally> logger) : BackgroundService
{
    public static readonly TimeSpan Window = TimeSpan.FromMinutes(15);
    private const int Capacity = 10_000;
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(5);
    private static readonly Key Others = new(null, "others"); // when there are too many to tell apart
    private readonly Lock turn = new();
    private readonly Dictionary<Key, Count> counts = [];

    /// <param name="ClientId">Null: the network's limit is what was reached, with whatever ids.</param>
    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Key(string? ClientId, string Network);

    /// <param name="First">Of the first try that is counted here.</param>
    private sealed record Count(Occasion First)
    {
        public long Tries { get; set; }

        public DateTimeOffset RefusedUntil { get; set; }
    }

    /// <summary>
    /// The seconds for which the limit of this network still refuses everybody, and counts the try then: known here, so that ids which
    /// somebody makes up leave nothing behind, not even a bucket.
    /// </summary>
    public int? Refuse(Occasion occasion)
    {
        lock (turn)
        {
            if (counts.Count == 0 || !counts.TryGetValue(new Key(null, occasion.Network), out var count) || count.RefusedUntil <= occasion.Now)
            {
                return null;
            }

            count.Tries++;
            return (int)Math.Ceiling((count.RefusedUntil - occasion.Now).TotalSeconds);
        }
    }

    /// <summary>Counts a try that a limit refused: the client's in this network, or with a null id the network's.</summary>
    public void Add(string? clientId, Occasion occasion, int retryAfterSeconds)
    {
        lock (turn)
        {
            var key = new Key(clientId, occasion.Network);
            if (!counts.ContainsKey(key) && counts.Count >= Capacity)
            {
                key = Others;
            }

            if (!counts.TryGetValue(key, out var count))
            {
                counts[key] = count = new Count(occasion);
            }

            count.Tries++;
            count.RefusedUntil = occasion.Now.AddSeconds(retryAfterSeconds);
        }
    }

    /// <summary>Counts a try that the limits let through, when tries like it are being counted already; else it is to be told by itself.</summary>
    public bool TryAdd(string clientId, Occasion occasion)
    {
        lock (turn)
        {
            if (counts.Count == 0)
            {
                return false;
            }

            var network = occasion.Network;
            if (!counts.TryGetValue(new Key(clientId, network), out var count) && !counts.TryGetValue(new Key(null, network), out count))
            {
                return false;
            }

            count.Tries++;
            return true;
        }
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await TellAsync(DateTimeOffset.MaxValue);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Pause, clock);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            await TellAsync(clock.GetUtcNow() - Window);
        }
    }

    /// <summary>Writes the event of each count that began by then. What cannot be written stays for the next time.</summary>
    private async Task TellAsync(DateTimeOffset latestStart)
    {
        foreach (var (key, count) in Take(latestStart))
        {
            try
            {
                await audit.AppendAsync(AuditEvents.ClientAuthLimited, count.First with { Now = clock.GetUtcNow() }, json =>
                {
                    json.WriteString("client_id", key.ClientId);
                    json.WriteString("network", key.Network);
                    json.WriteNumber("tries", count.Tries);
                    json.WriteString("since", count.First.Now);
                });
            }
            catch (Exception error) when (error is not OperationCanceledException) // whatever it is: the next time may be better
            {
                PutBack(key, count);
                LogNotTold(count.Tries, key.ClientId, key.Network, count.First.Now, error.Message);
            }
        }
    }

    private List<KeyValuePair<Key, Count>> Take(DateTimeOffset latestStart)
    {
        lock (turn)
        {
            var due = counts.Where(count => count.Value.First.Now <= latestStart).ToList();
            due.ForEach(count => counts.Remove(count.Key));
            return due;
        }
    }

    private void PutBack(Key key, Count count)
    {
        lock (turn)
        {
            count.Tries += counts.TryGetValue(key, out var newer) ? newer.Tries : 0;
            counts[key] = count;
        }
    }

    [LoggerMessage(
        2010, LogLevel.Warning,
        "{Tries} failed authentications beyond the limit (client {ClientId}, network {Network}, since {Since}) could not be written to the audit trail: "
        + "{Reason}")]
    private partial void LogNotTold(long tries, string? clientId, string network, DateTimeOffset since, string reason);
}
