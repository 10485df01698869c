using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Svix.Exceptions;

namespace Svix;

/// <summary>Stand-in for Svix's signer and verifier of webhooks (the Standard Webhooks specification, symmetric signatures).</summary>
public sealed class Webhook
{
    private const long ToleranceSeconds = 300;
    private readonly byte[] key;

    /// <param name="key">Base64, with or without <c>whsec_</c>.</param>
    public Webhook(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        const string prefix = "whsec_";
        this.key = Convert.FromBase64String(key.StartsWith(prefix, StringComparison.Ordinal) ? key[prefix.Length..] : key);
    }

    /// <exception cref="WebhookVerificationException">
    /// Headers are missing or malformed, the time is more than five minutes off, or no signature matches.
    /// </exception>
    public void Verify(ReadOnlySpan<char> payload, Func<string?, string?> headersProvider)
    {
        ArgumentNullException.ThrowIfNull(headersProvider);
        var (id, timestamp, signatures) = Headers(headersProvider, "svix") ?? Headers(headersProvider, "webhook")
            ?? throw new WebhookVerificationException("Headers are missing.");
        if (!long.TryParse(timestamp, NumberStyles.Integer, CultureInfo.InvariantCulture, out var seconds))
        {
            throw new WebhookVerificationException("The timestamp is not a number.");
        }

        if (Math.Abs((decimal)seconds - TimeProvider.System.GetUtcNow().ToUnixTimeSeconds()) > ToleranceSeconds)
        {
            throw new WebhookVerificationException("The timestamp is too old or too new.");
        }

        var expected = Encoding.UTF8.GetBytes(Compute(id, timestamp, payload));
        foreach (var signature in signatures.Split(' '))
        {
            var parts = signature.Split(',', 2);
            if (parts.Length < 2)
            {
                throw new WebhookVerificationException("A signature has no version.");
            }

            if (parts[0] == "v1" && CryptographicOperations.FixedTimeEquals(expected, Encoding.UTF8.GetBytes(parts[1])))
            {
                return;
            }
        }

        throw new WebhookVerificationException("No signature matches.");
    }

    public string Sign(ReadOnlySpan<char> msgId, DateTimeOffset timestamp, ReadOnlySpan<char> payload) =>
        "v1," + Compute(msgId.ToString(), timestamp.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture), payload);

    private static (string Id, string Timestamp, string Signatures)? Headers(Func<string?, string?> headers, string prefix) =>
        headers(prefix + "-id") is { Length: > 0 } id && headers(prefix + "-timestamp") is { Length: > 0 } timestamp
            && headers(prefix + "-signature") is { Length: > 0 } signatures
            ? (id, timestamp, signatures)
            : null;

    private string Compute(string id, string timestamp, ReadOnlySpan<char> payload) =>
        Convert.ToBase64String(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(string.Concat($"{id}.{timestamp}.", payload))));
}
