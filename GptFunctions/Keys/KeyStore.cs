using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using Npgsql;

namespace GptFunctions.Keys;

/// <summary>What the replicas know together of one key; times are the database's.</summary>
/// <param name="PublishedAt">Since when, without a gap, some replica has had it in its key set.</param>
/// <param name="SeenAt">When a replica last said so.</param>
/// <param name="SignedAt">When a replica last said that it signs with it; null when none ever did.</param>
/// <param name="SigningSince">Since when it has been the one that signs; null for all others.</param>
internal sealed record PublishedKey(
    string KeyId, DateTimeOffset PublishedAt, DateTimeOffset SeenAt, DateTimeOffset? SignedAt, DateTimeOffset? SigningSince);

/// <summary>What one process says of its keys.</summary>
/// <param name="KeyIds">In its key set.</param>
/// <param name="Signer">The one that it signs with; null before it knows.</param>
/// <param name="Signed">Those that it has signed with since it said so last.</param>
/// <param name="HasTurned">Whether it has just begun to sign with another one.</param>
/// <param name="Interval">How often it says so.</param>
/// <param name="LongEnough">How long a key has to be published before it signs.</param>
internal sealed record KeyReport(string[] KeyIds, string? Signer, string[] Signed, bool HasTurned, TimeSpan Interval, TimeSpan LongEnough);

/// <summary>All keys that are known, newest first; and the key that the reported one took over from, when this very report made the change.</summary>
internal sealed record KeyState(IReadOnlyList<PublishedKey> Keys, DateTimeOffset Now, string? TookOverFrom);

internal sealed class KeyStore(Database database, OutboxSignal outbox)
{
    public const string Turned = "gpt.operator.signing_key_changed";
    public const string Added = "gpt.operator.key_added";
    public const string Retired = "gpt.operator.key_retired";

    private const long ReportLock = 0x6770_7466_0029;

    // Reports take turns: each statement after this sees all that was reported before.
    private static readonly Sql TakeTurn = new("SELECT pg_advisory_xact_lock(@lock)");

    // A change counts once, whichever replica sees it first. One that has not read the new file yet, or was started with an old one, changes nothing as
    // long as others sign with the current key.
    private static readonly Sql Turn = new($"""
        WITH turned AS (
            UPDATE gpt_signing_keys
            SET signing_since = now(), signed_at = now()
            WHERE kid = @signer AND signing_since IS NULL
              AND (@has_turned OR signed_at IS NULL
                   OR NOT EXISTS (SELECT FROM gpt_signing_keys other WHERE other.signing_since IS NOT NULL AND other.signed_at > now() - @patience))
            RETURNING kid, published_at
        ), before AS (
            UPDATE gpt_signing_keys
            SET signing_since = NULL
            WHERE signing_since IS NOT NULL AND kid <> @signer AND EXISTS (SELECT FROM turned)
            RETURNING kid
        ), change AS (
            SELECT turned.kid, before.kid AS previous_kid, turned.published_at FROM turned CROSS JOIN before
        ), event AS (
            {Outbox.Tell(Turned, "change", "'kid', kid, 'previous_kid', previous_kid, 'published_at', published_at")}
        )
        SELECT previous_kid FROM change
        """);

    // A key that no replica has had for so long, while others were reported, was taken back: whoever verifies has forgotten it, and it begins anew.
    private static readonly Sql Publish = new("""
        INSERT INTO gpt_signing_keys AS key (kid, published_at, seen_at)
        SELECT kid, now(), now() FROM unnest(@kids) AS kid ORDER BY kid
        ON CONFLICT (kid) DO UPDATE
        SET seen_at = now(),
            signed_at = CASE WHEN key.kid = ANY (@signed) THEN now() ELSE key.signed_at END,
            published_at = CASE WHEN key.seen_at < (SELECT max(seen_at) FROM gpt_signing_keys) - @gap THEN now() ELSE key.published_at END
        """);

    private static readonly Sql Forget = new("DELETE FROM gpt_signing_keys WHERE seen_at < now() - interval '30 days'");

    private static readonly Sql Read = new("""
        SELECT kid, published_at, seen_at, signed_at, signing_since, now
        FROM (SELECT clock_timestamp() AS now) time LEFT JOIN gpt_signing_keys ON true
        ORDER BY published_at DESC, kid
        """);

    private static readonly Sql Tell = new(
        OperatorAct.Tell("@event_type", "(SELECT @kid::text AS kid, @change::text AS change)", "'kid', kid, 'change', change"));

    /// <summary>Says what this process has, and returns what all have: one round trip and one transaction.</summary>
    public async Task<KeyState> ReportAsync(KeyReport report, Occasion occasion)
    {
        var state = await database.RunAsync(Database.ChangeLimit, async (connection, cancellationToken) =>
        {
            await using var batch = new NpgsqlBatch(connection);
            batch.Add(new Statement(TakeTurn).Bind("lock", ReportLock));
            batch.Add(new Statement(Turn).Bind("signer", report.Signer).Bind("has_turned", report.HasTurned).Bind("patience", 3 * report.Interval)
                .Bind(occasion));
            batch.Add(new Statement(Publish).Bind("kids", report.KeyIds).Bind("signed", report.Signed)
                .Bind("gap", report.LongEnough + (2 * report.Interval)));
            batch.Add(new Statement(Forget));
            batch.Add(new Statement(Read));
            await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
            await reader.NextResultAsync(cancellationToken);
            var before = await reader.ReadAsync(cancellationToken) ? reader.GetString(0) : null;
            await reader.NextResultAsync(cancellationToken);
            return await ReadAsync(reader, before, cancellationToken);
        });
        if (state.TookOverFrom is not null)
        {
            outbox.Raise();
        }

        return state;
    }

    public Task<KeyState> ReadAsync() => database.RunAsync(Database.LookUpLimit, async (connection, cancellationToken) =>
    {
        await using var command = new Statement(Read).On(connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await ReadAsync(reader, null, cancellationToken);
    });

    /// <summary>Tells of what an operator did with a key; what it did is in a file or a vault, not here.</summary>
    public async Task TellAsync(string type, string keyId, string? change, OperatorAct act, Occasion occasion)
    {
        await database.Change(Tell).Bind("event_type", type).Bind("kid", keyId).Bind("change", change).Bind(act).Bind(occasion).ExecuteAsync();
        outbox.Raise();
    }

    private static async Task<KeyState> ReadAsync(NpgsqlDataReader reader, string? before, CancellationToken cancellationToken)
    {
        var (keys, now) = (new List<PublishedKey>(), DateTimeOffset.MinValue);
        while (await reader.ReadAsync(cancellationToken))
        {
            now = reader.GetFieldValue<DateTimeOffset>(5);
            if (reader.IsDBNull(0))
            {
                continue; // none, and the time all the same
            }

            keys.Add(new PublishedKey(
                reader.GetString(0), reader.GetFieldValue<DateTimeOffset>(1), reader.GetFieldValue<DateTimeOffset>(2), reader.Get<DateTimeOffset?>(3),
                reader.Get<DateTimeOffset?>(4)));
        }

        return new KeyState(keys, now, before);
    }
}
