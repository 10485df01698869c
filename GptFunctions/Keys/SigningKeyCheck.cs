using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using GptFunctions.Hosting;
using GptFunctions.Tokens;
using Npgsql;

namespace GptFunctions.Keys;

/// <summary>What the signing key signs, it verifies; and all replicas have the keys that count.</summary>
internal sealed class SigningKeyCheck(SigningKeys keys, KeyService service) : ICheck
{
    public string Name => "signing_key";

    public CheckState WhenUnknown => CheckState.Blocker;

    public async Task RunAsync(Finding finding, CancellationToken cancellationToken)
    {
        if (!keys.All.Any(key => key.CanSign))
        {
            finding.Say(CheckState.Blocker, "No signing key is loaded: set GPT_EC_PRIVATE_KEY.");
            return;
        }

        finding.Details["kid"] = keys.Current.KeyId;
        finding.Details["previous_keys"] = keys.All.Count - 1;
        TrySign(keys.Current, finding);
        try
        {
            Judge(await service.ListAsync(), finding);
        }
        catch (NpgsqlException)
        {
            // That the database is away, its own check says; tokens are signed and verified without it.
        }
    }

    private static void TrySign(SigningKey key, Finding finding)
    {
        Span<byte> text = stackalloc byte[32];
        Span<byte> signature = stackalloc byte[SigningKey.SignatureBytes];
        RandomNumberGenerator.Fill(text);
        key.Sign(text, signature);
        if (!key.Verify(text, signature))
        {
            finding.Say(CheckState.Blocker, "What GPT_EC_PRIVATE_KEY signs does not verify: make another key.");
        }
    }

    private static void Judge(IReadOnlyList<KeyRow> rows, Finding finding)
    {
        var signer = rows.First(row => row.Use == KeyUse.Signs);
        finding.Details["kid"] = signer.KeyId; // as all replicas know it, also for a command, which serves no keys
        finding.Details["waiting"] = new JsonArray(
            [.. rows.Where(row => row.Use == KeyUse.Waits).Select(row => JsonValue.Create($"{row.KeyId} signs from {Time(row.SignsAt)}"))]);
        foreach (var row in rows.Where(row => row.Use == KeyUse.Missing))
        {
            finding.Say(
                CheckState.Degraded,
                row.IsServed
                    ? $"Other replicas have had the key {row.KeyId} since {Time(row.PublishedAt)}, and this process has not, so it refuses what that key "
                        + "signs: "
                        + "do all read the same GPT_EC_PRIVATE_KEY?"
                    : $"Tokens that the key {row.KeyId} signed live until {Time(row.TokensLiveUntil)} and are refused, because it is in no setting any more: "
                        + "put its public half behind the others in GPT_EC_PRIVATE_KEY.");
        }
    }

    private static string Time(DateTimeOffset? time) =>
        time is { } known ? known.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture) : "unknown";
}
