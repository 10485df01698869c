using System.Text;
using Svix.Exceptions;
using Webhook = Svix.Webhook; // using Svix would make Environment ambiguous

namespace GptFunctions.Webhooks;

/// <summary>Svix, which sends Clerk's webhooks, and anybody else who follows the Standard Webhooks specification.</summary>
internal sealed class SvixSignature : ISignature
{
    // Bytes that are no UTF-8 have no text to be verified as: a replacement character would stand for many of them.
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public bool IsPresent(Func<string, string?> headers) => Prefix(headers) is not null;

    public string? EventId(Func<string, string?> headers) => Prefix(headers) is { } prefix ? headers(prefix + "-id") : headers("svix-id") ?? headers("webhook-id");

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

    /// <summary>Whether a secret is one: base64 of some bytes, with or without <c>whsec_</c>.</summary>
    public static bool IsSecret(string secret)
    {
        var text = secret.StartsWith("whsec_", StringComparison.Ordinal) ? secret[6..] : secret;
        return text.Length > 0 && Convert.TryFromBase64String(text, new byte[text.Length], out var length) && length > 0;
    }

    /// <summary>The set of headers that is complete, in the verifier's order of preference: the id must be the one that was signed.</summary>
    private static string? Prefix(Func<string, string?> headers) =>
        Array.Find((string[])["svix", "webhook"], prefix => headers(prefix + "-id") is not null && headers(prefix + "-timestamp") is not null && headers(prefix + "-signature") is not null);
}
