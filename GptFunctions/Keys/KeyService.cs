using System.Diagnostics;
using System.Text.Json.Serialization;
using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Microsoft.Extensions.Options;

namespace GptFunctions.Keys;

/// <summary>What a key is for at the moment.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<KeyUse>))]
internal enum KeyUse
{
    [JsonStringEnumMemberName("signs")]
    Signs,

    /// <summary>It verifies, and signs as soon as it has been published for long enough.</summary>
    [JsonStringEnumMemberName("waits")]
    Waits,

    [JsonStringEnumMemberName("verifies")]
    Verifies,

    /// <summary>It is not among the keys of this process: other replicas have it, or it signed tokens that may still live.</summary>
    [JsonStringEnumMemberName("missing")]
    Missing,
}

/// <summary>A signing key as operators see it.</summary>
internal sealed record KeyRow
{
    public required string KeyId { get; init; }

    public required KeyUse Use { get; init; }

    /// <summary>Whether the private half is here; null when nothing of it is.</summary>
    public required bool? IsPrivate { get; init; }

    /// <summary>Since when it has been in the key set; null when no replica has had it there yet.</summary>
    public required DateTimeOffset? PublishedAt { get; init; }

    /// <summary>Since when it signs, or from when on.</summary>
    public required DateTimeOffset? SignsAt { get; init; }

    /// <summary>How long tokens that it signed may live; null for the one that signs, and where none can live any more.</summary>
    public required DateTimeOffset? TokensLiveUntil { get; init; }

    /// <summary>Whether some replica has said so lately that it has the key.</summary>
    public required bool IsServed { get; init; }
}

/// <summary>What shall become of a key that an operator retires: the new text of the setting.</summary>
internal sealed record Retirement(string KeyId, string Change, string Text);

/// <summary>Signing keys as operators see them. Refusals are sentences.</summary>
internal sealed class KeyService(KeyStore store, SigningKeys keys, IOptions<TokenSettings> settings)
{
    public const string PublicHalf = "public_half";
    public const string Removed = "removed";

    private TimeSpan LongEnough => TimeSpan.FromSeconds(settings.Value.KeyPublishSeconds);

    /// <summary>The keys of this process in their order, then those that it lacks.</summary>
    /// <exception cref="Npgsql.NpgsqlException">The database is away.</exception>
    public async Task<IReadOnlyList<KeyRow>> ListAsync()
    {
        var state = await store.ReadAsync();
        return
        [
            .. RowsOf(keys.All, state),
            .. state.Keys.Where(key => keys.Find(key.KeyId) is null).Select(key => Row(key.KeyId, null, KeyUse.Missing, state))
                .Where(row => row.IsServed || row.TokensLiveUntil is not null),
        ];
    }

    /// <summary>Makes a key and puts it before the others.</summary>
    /// <param name="text">What the setting holds now.</param>
    /// <returns>The key's id and what the setting shall hold.</returns>
    public async Task<(string KeyId, string Text)> AddAsync(string text, OperatorAct act, Occasion occasion)
    {
        var made = SigningKey.Generate();
        var keyId = SigningKey.TryParsePublic(made, out var key) ? key!.KeyId : throw new UnreachableException();
        await store.TellAsync(KeyStore.Added, keyId, null, act, occasion);
        return (keyId, $"{made} {text}".TrimEnd());
    }

    /// <summary>Takes a key back: its private half while its tokens live, all of it when none can live any more.</summary>
    /// <param name="keyId">Or how it begins.</param>
    /// <param name="texts">What the settings hold now, by name.</param>
    /// <param name="isForced">Ends it at once, and with it the tokens that it signed.</param>
    public async Task<(string? Setting, Retirement? Done, string? Problem)> RetireAsync(
        string keyId, IReadOnlyDictionary<string, string> texts, bool isForced, OperatorAct act, Occasion occasion)
    {
        var entries = texts.SelectMany(text => Entry.ListOf(text.Key, text.Value)).ToList();
        var found = entries.Where(entry => entry.Key.KeyId.StartsWith(keyId, StringComparison.Ordinal)).ToList();
        if (found.Select(entry => entry.Key.KeyId).Distinct().Count() != 1)
        {
            return (null, null, found.Count == 0 ? $"There is no key {keyId}: 'GptFunctions keys list' shows them." : $"Several keys begin with {keyId}.");
        }

        var entry = found.Find(entry => entry.Key.CanSign) ?? found[0];
        var state = await store.ReadAsync();
        var (change, problem) = Judge(entry, entries, state, isForced);
        if (change is null)
        {
            return (null, null, problem);
        }

        if (isForced && act.Reason is null)
        {
            return (null, null, "--force ends tokens that people use: say why, with --reason.");
        }

        await store.TellAsync(KeyStore.Retired, entry.Key.KeyId, change, act, occasion);
        var kept = entries.Where(other => other.Setting == entry.Setting && (other != entry || change == PublicHalf))
            .Select(other => other == entry ? entry.Key.ToPublicText() : other.Text);
        return (entry.Setting, new Retirement(entry.Key.KeyId, change, string.Join(' ', kept)), null);
    }

    private (string? Change, string? Problem) Judge(Entry entry, List<Entry> entries, KeyState state, bool isForced)
    {
        var keyId = entry.Key.KeyId;
        if (!entries.Exists(other => other.Key.CanSign && other.Key.KeyId != keyId))
        {
            return (null, $"{keyId} is the only key that can sign: make another one before, with 'GptFunctions keys add'.");
        }

        if (isForced)
        {
            return (Removed, null);
        }

        var row = RowsOf([.. entries.Select(other => other.Key)], state).First(row => row.KeyId == keyId);
        if (row.Use == KeyUse.Signs || state.Keys.Any(key => key.KeyId == keyId && key.SigningSince is not null))
        {
            return (null, $"{keyId} signs: wait until 'GptFunctions keys list' says that the key before it does. --force ends it and its tokens at once.");
        }

        return row.TokensLiveUntil is not { } end ? (Removed, null)
            : entry.Key.CanSign ? (PublicHalf, null)
            : (null, $"Tokens that {keyId} signed live until {end.UtcDateTime:yyyy-MM-dd HH:mm:ss}Z, and nothing of it but the public half is here: "
                + "wait until then. --force ends them at once.");
    }

    private IEnumerable<KeyRow> RowsOf(IReadOnlyList<SigningKey> all, KeyState state)
    {
        var since = state.Keys.ToDictionary(key => key.KeyId, key => key.PublishedAt, StringComparer.Ordinal);
        var signer = Signer.Of(all, since, LongEnough, state.Now).Key;
        var use = KeyUse.Waits;
        foreach (var key in all)
        {
            use = key.KeyId == signer.KeyId ? KeyUse.Signs : use == KeyUse.Waits ? KeyUse.Waits : KeyUse.Verifies;
            yield return Row(key.KeyId, key, use == KeyUse.Waits && !key.CanSign ? KeyUse.Verifies : use, state);
        }
    }

    private KeyRow Row(string keyId, SigningKey? key, KeyUse use, KeyState state)
    {
        var (published, interval) = (state.Keys.FirstOrDefault(other => other.KeyId == keyId), KeyPublication.IntervalOf(LongEnough));
        // Between two reports a process may have signed, and died before the next.
        var end = published?.SignedAt + interval + TimeSpan.FromSeconds(settings.Value.AccessTokenExpiry);
        return new KeyRow
        {
            KeyId = keyId,
            Use = use,
            IsPrivate = key?.CanSign,
            PublishedAt = published?.PublishedAt,
            SignsAt = use == KeyUse.Signs ? published?.SigningSince : use == KeyUse.Waits ? published?.PublishedAt + LongEnough : null,
            TokensLiveUntil = use != KeyUse.Signs && end > state.Now ? end : null,
            IsServed = state.Now - published?.SeenAt < 3 * interval,
        };
    }

    /// <summary>One key in the text of a setting.</summary>
    private sealed record Entry(string Setting, string Text, SigningKey Key)
    {
        public static IEnumerable<Entry> ListOf(string setting, string text)
        {
            foreach (var part in text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            {
                if ((setting == TokenKeys.SigningKeysName && SigningKey.TryParse(part, out var key)) || SigningKey.TryParsePublic(part, out key))
                {
                    yield return new Entry(setting, part, key!);
                }
            }
        }
    }
}
