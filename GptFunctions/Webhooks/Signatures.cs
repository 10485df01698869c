using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using GptFunctions.Hosting;
using Microsoft.Extensions.Configuration;
using Svix.Exceptions;
using Webhook = Svix.Webhook; // using Svix would make Environment ambiguous

namespace GptFunctions.Webhooks;

/// <summary>How a source signs what it sends.</summary>
internal interface ISignature
{
    /// <summary>Whether the request has what a signature needs.</summary>
    bool IsPresent(Func<string, string?> headers);

    /// <summary>Whether this secret made the signature of exactly these bytes, at about this time.</summary>
    bool IsValid(Func<string, string?> headers, ReadOnlySpan<byte> body, string secret, DateTimeOffset now);

    /// <summary>The event's id, when it is among the signed headers.</summary>
    string? EventId(Func<string, string?> headers) => null;

    /// <summary>What to do about a value that can be no secret; null when it can be one.</summary>
    string? Objection(string secret) => null;
}

/// <summary>The HMAC-SHA256 of the body in hex, in a header. It has no time: a copy that somebody sends again is a duplicate.</summary>
internal sealed class HmacSignature : ISignature
{
    public bool IsPresent(Func<string, string?> headers) => Find(headers) is not null;

    public bool IsValid(Func<string, string?> headers, ReadOnlySpan<byte> body, string secret, DateTimeOffset now) =>
        Matches(HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), body), Find(headers)!);

    /// <summary>Compares in a time that does not tell how much of it was right.</summary>
    internal static bool Matches(byte[] expected, string hex)
    {
        Span<byte> actual = stackalloc byte[HMACSHA256.HashSizeInBytes];
        return hex.Length == 2 * actual.Length && Convert.FromHexString(hex, actual, out _, out _) == OperationStatus.Done
            && CryptographicOperations.FixedTimeEquals(actual, expected);
    }

    private static string? Find(Func<string, string?> headers) => headers("X-Signature") ?? headers("X-HMAC-Signature");
}

/// <summary><c>Stripe-Signature: t=...,v1=...</c>, where v1 is the HMAC-SHA256 of <c>{t}.{body}</c> with the secret string as it is.</summary>
internal sealed class StripeSignature : ISignature
{
    private const string Header = "Stripe-Signature";
    private const long ToleranceSeconds = 300;

    public bool IsPresent(Func<string, string?> headers) => headers(Header) is not null;

    public bool IsValid(Func<string, string?> headers, ReadOnlySpan<byte> body, string secret, DateTimeOffset now)
    {
        var parts = headers(Header)!.Split(',').Select(part => part.Split('=', 2)).Where(part => part.Length == 2).ToList();
        var time = parts.Find(part => part[0] == "t")?[1];
        if (!long.TryParse(time, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
            || Math.Abs((decimal)seconds - now.ToUnixTimeSeconds()) > ToleranceSeconds)
        {
            return false;
        }

        using var hmac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, Encoding.UTF8.GetBytes(secret));
        hmac.AppendData(Encoding.ASCII.GetBytes(time + "."));
        hmac.AppendData(body);
        var expected = hmac.GetHashAndReset();
        return parts.Exists(part => part[0] == "v1" && HmacSignature.Matches(expected, part[1])); // v0 is of test mode only
    }
}

/// <summary>Svix, which sends Clerk's webhooks, and anybody else who follows the Standard Webhooks specification.</summary>
/// <param name="sender">Whose dashboard shows the secret.</param>
internal sealed class SvixSignature(string sender = "the sender") : ISignature
{
    // Bytes that are no UTF-8 have no text to be verified as: a replacement character would stand for many of them.
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public bool IsPresent(Func<string, string?> headers) => Prefix(headers) is not null;

    public string? EventId(Func<string, string?> headers) =>
        Prefix(headers) is { } prefix ? headers(prefix + "-id") : headers("svix-id") ?? headers("webhook-id");

    public bool IsValid(Func<string, string?> headers, ReadOnlySpan<byte> body, string secret, DateTimeOffset now)
    {
        try
        {
            new Webhook(secret).Verify(StrictUtf8.GetString(body), name => name is null ? null : headers(name));
            return true;
        }
        catch (Exception error) when (error is WebhookVerificationException or DecoderFallbackException)
        {
            return false;
        }
    }

    public string? Objection(string secret) =>
        IsSecret(secret) ? null : $"copy it from the endpoint in {sender}'s dashboard, it begins with whsec_";

    /// <summary>Whether a secret is one: base64 of some bytes, with or without <c>whsec_</c>.</summary>
    public static bool IsSecret(string secret)
    {
        var text = secret.StartsWith("whsec_", StringComparison.Ordinal) ? secret[6..] : secret;
        return text.Length > 0 && Convert.TryFromBase64String(text, new byte[text.Length], out var length) && length > 0;
    }

    /// <summary>The set of headers that is complete, in the verifier's order of preference: the id must be the one that was signed.</summary>
    private static string? Prefix(Func<string, string?> headers) =>
        Array.Find(
            (string[])["svix", "webhook"],
            prefix => headers(prefix + "-id") is not null && headers(prefix + "-timestamp") is not null && headers(prefix + "-signature") is not null);
}

/// <summary>
/// The secrets that webhooks are signed with, in settings that are named after their source: NAME_WEBHOOK_SECRET and, as Clerk calls it,
/// NAME_WEBHOOK_SIGNING_SECRET. Several at once (rotation, two instances of a sender): any of them may have signed. A source without a secret answers
/// 503 in Production, which is no reason not to start: not everybody has every sender.
/// </summary>
[Setting("CLERK_WEBHOOK_SECRET", IsSecret = true, Default = "none: `/webhooks/clerk` answers 503", Development = Unsigned,
    Meaning = "signing secret of the endpoint in Clerk's dashboard (`whsec_...`); this and the following may be several, separated by spaces, "
        + "for a rotation or two instances")]
[Setting("CLERK_WEBHOOK_SIGNING_SECRET", IsSecret = true, Meaning = "the same under Clerk's own name; both count")]
[Setting("STRIPE_WEBHOOK_SECRET", IsSecret = true, Meaning = "signing secret of the endpoint in Stripe's dashboard",
    Default = "none: 503", Development = Unsigned)]
[Setting("ORDERS_WEBHOOK_SECRET", IsSecret = true, Meaning = "shared with the shop", Default = "none: 503", Development = Unsigned)]
[Setting("VERIFICATION_WEBHOOK_SECRET", IsSecret = true, Meaning = "shared with the verification provider", Default = "none: 503", Development = Unsigned)]
internal sealed class WebhookKeys(IEnumerable<IWebhookSource> sources, IConfiguration configuration) : IKeys
{
    private const string Unsigned = "none: accepted unsigned, with a warning";
    private readonly Dictionary<IWebhookSource, string[]> secrets = sources.ToDictionary(source => source, source => Read(source, configuration));

    /// <summary>The setting that a source's secret is looked for in.</summary>
    public static string SettingOf(IWebhookSource source) => source.Name.ToUpperInvariant() + "_WEBHOOK_SECRET";

    /// <summary>Any of them may have signed; empty when the source is not configured.</summary>
    public IReadOnlyList<string> Of(IWebhookSource source) => secrets[source];

    public IEnumerable<string> Problems(bool isProduction) =>
        from source in secrets
        let objection = source.Value.Select(source.Key.Signature.Objection).FirstOrDefault(objection => objection is not null)
        where objection is not null
        select $"{SettingOf(source.Key)} holds a value that is no signing secret: {objection} (several, separated by spaces).";

    private static string[] Read(IWebhookSource source, IConfiguration configuration) =>
        $"{configuration[SettingOf(source)]} {configuration[source.Name.ToUpperInvariant() + "_WEBHOOK_SIGNING_SECRET"]}"
            .Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
}
