using System.Security.Cryptography;
using System.Text;
using GptFunctions.Data;
using Npgsql;
using RabbitMQ.Client;

namespace GptFunctions.Audit;

/// <summary>A message that was given up.</summary>
/// <param name="Id">Made of its content: the same message twice has it twice.</param>
/// <param name="DiedAt">By the broker's clock; null when the broker does not say.</param>
internal sealed record DeadLetter(string Id, byte[] Message, DateTimeOffset? DiedAt, string Reason)
{
    /// <summary>What it is, if it is an event.</summary>
    public AuditEvent? Event { get; } = AuditEvent.Parse(Message, out _);
}

/// <summary>Somebody else looks at the dead letters, or acts on them, for longer than one should have to wait.</summary>
internal sealed class DeadLettersBusyException() : Exception("somebody else is at the dead letters right now: try again");

/// <summary>
/// The queue of messages that were given up. RabbitMQ shows a message only by handing it out: what is looked at is handed back, and what leaves the
/// queue is acknowledged only after it has arrived elsewhere. A process that dies on the way hands all back, so nothing is lost; at worst a message is
/// in two queues, and the trail takes an event once. One at a time, because what is in somebody's hands nobody else sees.
/// </summary>
internal sealed class DeadLetters(Broker broker, Database database)
{
    /// <summary>How many are looked through for one of them.</summary>
    public const int MostRead = 1000;

    private const long TurnLock = 0x6770_7466_0004;

    /// <summary>
    /// A quorum queue counts how often a message was handed back, and drops it one day (from RabbitMQ 4 on after twenty times). Before that it is put
    /// back as a new one.
    /// </summary>
    private const long MostReturns = 10;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5); // a page is kept waiting that long while the broker is silent
    private static readonly TimeSpan LongestAct = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Goodbye = TimeSpan.FromSeconds(1);

    // Ends with its transaction, so a process that dies lets go of it; the server sees to one whose machine vanished.
    private static readonly Sql TakeTurn = new("SELECT pg_try_advisory_xact_lock(@lock) FROM set_config('idle_in_transaction_session_timeout', '30s', true)");

    /// <summary>The oldest ones, and how many there are.</summary>
    /// <exception cref="DeadLettersBusyException">Somebody else is at it.</exception>
    public Task<(uint Count, List<DeadLetter> First)> ListAsync(int count) => WithQueueAsync(Patience, async (queue, limit) =>
    {
        var letters = new List<DeadLetter>();
        var before = await queue.CountAsync(limit);
        while (letters.Count < count && await queue.GetAsync(limit) is { } found)
        {
            letters.Add(Read(found));
            if (Returns(found) >= MostReturns)
            {
                await PublishAsync(queue.Channel, AuditSettings.DeadLetters, found, limit);
                await queue.AcknowledgeAsync(found, limit);
            }
        }

        return (Math.Max(before, await queue.GiveBackAsync(limit)), letters);
    });

    /// <summary>Puts messages back into the audit queue.</summary>
    /// <param name="id">Which one; null for the oldest <see cref="MostRead"/>.</param>
    /// <param name="tell">Told of them once the audit queue has them, before they leave this one.</param>
    /// <returns>How many.</returns>
    public Task<int> ReturnAsync(string? id, Func<IReadOnlyList<DeadLetter>, Task> tell) =>
        TakeAsync(id, tell, (queue, found, limit) => PublishAsync(queue.Channel, AuditSettings.Queue, found, limit));

    /// <summary>Throws one message away.</summary>
    /// <param name="tell">Told of it before it is gone.</param>
    /// <returns>False when it is not there.</returns>
    public async Task<bool> DiscardAsync(string id, Func<IReadOnlyList<DeadLetter>, Task> tell) =>
        await TakeAsync(id, tell, (_, _, _) => Task.CompletedTask) > 0;

    private Task<int> TakeAsync(string? id, Func<IReadOnlyList<DeadLetter>, Task> tell, Func<OpenQueue, BasicGetResult, CancellationToken, Task> move) =>
        WithQueueAsync(LongestAct, async (queue, limit) =>
        {
            var taken = new List<(BasicGetResult Found, DeadLetter Letter)>();
            // No more than there are now: what is put back may fail again meanwhile, and be here once more.
            for (var left = Math.Min(await queue.CountAsync(limit), MostRead); left > 0 && (id is null || taken.Count == 0); left--)
            {
                if (await queue.GetAsync(limit) is not { } found)
                {
                    break;
                }

                if (Read(found) is var letter && (id is null || letter.Id == id))
                {
                    await move(queue, found, limit);
                    taken.Add((found, letter));
                }
            }

            if (taken.Count > 0)
            {
                await tell([.. taken.Select(item => item.Letter)]);
            }

            foreach (var (found, _) in taken)
            {
                await queue.AcknowledgeAsync(found, limit);
            }

            await queue.GiveBackAsync(limit);
            return taken.Count;
        });

    private async Task<T> WithQueueAsync<T>(TimeSpan patience, Func<OpenQueue, CancellationToken, Task<T>> work)
    {
        using var limit = new CancellationTokenSource(patience);
        return await database.RunAsync(patience + Database.LookUpLimit, async (turn, away) =>
        {
            using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, away);
            await TakeTurnAsync(turn, limit.Token, away);
            var connection = await broker.ConnectAsync("dead letters", either.Token);
            try
            {
                var confirmed = new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true);
                return await work(new OpenQueue(await connection.CreateChannelAsync(confirmed, either.Token)), either.Token);
            }
            finally
            {
                await connection.AbortAsync(Goodbye); // a silent broker would keep a polite goodbye waiting
                await connection.DisposeAsync();
            }
        });
    }

    /// <summary>Until the connection is closed, which ends its transaction.</summary>
    private static async Task TakeTurnAsync(NpgsqlConnection connection, CancellationToken limit, CancellationToken away)
    {
        await connection.BeginTransactionAsync(away);
        while (true)
        {
            await using var command = new Statement(TakeTurn).Bind("lock", TurnLock).On(connection);
            if ((bool)(await command.ExecuteScalarAsync(away))!)
            {
                return;
            }

            if (limit.IsCancellationRequested)
            {
                throw new DeadLettersBusyException();
            }

            await Task.Delay(20, away);
        }
    }

    /// <summary>Returns when the broker has it.</summary>
    private static async Task PublishAsync(IChannel channel, string queue, BasicGetResult found, CancellationToken limit)
    {
        var properties = new BasicProperties(found.BasicProperties) { Persistent = true };
        if (properties.Headers is { } headers)
        {
            headers.Remove(DeliveryCount);
            if (queue == AuditSettings.Queue)
            {
                headers.Remove("x-ms-rabbitmq-requeuecount"); // it has all of its attempts again
            }
        }

        await channel.BasicPublishAsync("", queue, mandatory: true, properties, found.Body, limit);
    }

    private const string DeliveryCount = "x-delivery-count";

    private static long Returns(BasicGetResult found) =>
        found.BasicProperties.Headers?.TryGetValue(DeliveryCount, out var count) == true && count is not null
            ? Convert.ToInt64(count, System.Globalization.CultureInfo.InvariantCulture)
            : 0;

    private static DeadLetter Read(BasicGetResult found)
    {
        var message = found.Body.ToArray();
        var (reason, at) = ReadDeath(found.BasicProperties.Headers);
        return new DeadLetter(Convert.ToHexStringLower(SHA256.HashData(message))[..16], message, at, reason);
    }

    /// <summary>What the broker notes when it moves a message here: https://www.rabbitmq.com/docs/dlx#effects.</summary>
    private static (string Reason, DateTimeOffset? At) ReadDeath(IDictionary<string, object?>? headers)
    {
        if (headers?.TryGetValue("x-death", out var deaths) != true || deaths is not IList<object> { Count: > 0 } list
            || list[0] is not IDictionary<string, object?> death)
        {
            return ("the broker does not say why", null);
        }

        var at = death.TryGetValue("time", out var time) && time is AmqpTimestamp seconds
            ? DateTimeOffset.FromUnixTimeSeconds(seconds.UnixTime)
            : (DateTimeOffset?)null;
        return (Text(death, "reason") switch
        {
            "rejected" => $"failed five times in {Text(death, "queue")}: an integrity rule or a bug",
            "expired" => $"waited too long in {Text(death, "queue")}",
            "maxlen" => $"{Text(death, "queue")} was full",
            "delivery_limit" => $"was handed back too often by consumers of {Text(death, "queue")}",
            var other => $"{other} in {Text(death, "queue")}",
        }, at);
    }

    private static string Text(IDictionary<string, object?> table, string name) =>
        table.TryGetValue(name, out var value) ? value switch
        {
            byte[] bytes => Encoding.UTF8.GetString(bytes),
            var other => other?.ToString() ?? "",
        } : "";

    /// <summary>The queue, and what of it this process has in its hands.</summary>
    private sealed class OpenQueue(IChannel channel)
    {
        private const int MostLooks = 50;
        private readonly SortedSet<ulong> inHand = [];

        public IChannel Channel => channel;

        public async Task<uint> CountAsync(CancellationToken limit) =>
            (await channel.QueueDeclarePassiveAsync(AuditSettings.DeadLetters, limit)).MessageCount;

        public async Task<BasicGetResult?> GetAsync(CancellationToken limit)
        {
            var found = await channel.BasicGetAsync(AuditSettings.DeadLetters, autoAck: false, limit);
            if (found is not null)
            {
                inHand.Add(found.DeliveryTag);
            }

            return found;
        }

        public async Task AcknowledgeAsync(BasicGetResult found, CancellationToken limit)
        {
            inHand.Remove(found.DeliveryTag);
            await channel.BasicAckAsync(found.DeliveryTag, multiple: false, limit);
        }

        /// <summary>Hands the rest back, in its order and to its place, and waits until it is there: a quorum queue takes a moment.</summary>
        /// <returns>How many are in the queue then.</returns>
        public async Task<uint> GiveBackAsync(CancellationToken limit)
        {
            foreach (var tag in inHand)
            {
                await channel.BasicNackAsync(tag, multiple: false, requeue: true, limit);
            }

            var count = await CountAsync(limit); // answered behind all that was told the broker before
            for (var look = 0; count < inHand.Count && look < MostLooks; look++)
            {
                await Task.Delay(20, limit);
                count = await CountAsync(limit);
            }

            inHand.Clear();
            return count;
        }
    }
}
