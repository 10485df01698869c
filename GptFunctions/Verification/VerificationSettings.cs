using System.Security.Cryptography;
using System.Text;
using GptFunctions.Hosting;

namespace GptFunctions.Verification;

internal sealed class VerificationSettings : ISettings
{
    [Setting("VERIFICATION_DEADLINE_HOURS", 0, 8760, "hours", Meaning = "hours in which an order must be verified; decimals for a try (`0.002`)")]
    public decimal DeadlineHours { get; set; } = 72;

    [Setting("VERIFICATION_REMINDER_HOURS", 0, 8760, "hours",
        Meaning = "hours after which the reminder of an order that is still pending is due; none when that is not before its deadline")]
    public decimal ReminderHours { get; set; } = 24;

    [Setting("VERIFICATION_CALLBACK_URL", Schemes = "https http", MustBe = "the URL that is to be told of reminders and refunds that are due",
        Default = "none: what would be told is recorded as skipped",
        Meaning = "where a refund that is due, or a reminder, is told to (POST, signed: Standard Webhooks)")]
    public string? CallbackUrl { get; set; }

    public TimeSpan Deadline => TimeSpan.FromHours((double)DeadlineHours);

    public TimeSpan Reminder => TimeSpan.FromHours((double)ReminderHours);

    public IEnumerable<string> Problems(bool isProduction)
    {
        if (DeadlineHours == 0)
        {
            yield return "VERIFICATION_DEADLINE_HOURS must be more than 0 hours.";
        }
    }
}

/// <summary>What callbacks are signed with. Several sign side by side, so that the receiver can change over.</summary>
internal sealed class CallbackKeys : IKeys
{
    private const string Prefix = "whsec_";

    [Setting("VERIFICATION_CALLBACK_SECRET", IsSecret = true, Default = "none; needed with `VERIFICATION_CALLBACK_URL`",
        Meaning = "what callbacks are signed with: `whsec_` and base64 of 24 to 64 bytes; several, separated by spaces, sign side by side")]
    public string[] Secrets { get; set; } = [];

    /// <summary>The header <c>webhook-signature</c>: one signature with each secret (Standard Webhooks, "Verifying signatures").</summary>
    public string Sign(string id, string timestamp, byte[] body)
    {
        byte[] signed = [.. Encoding.UTF8.GetBytes($"{id}.{timestamp}."), .. body];
        return string.Join(' ', Secrets.Select(secret => "v1," + Convert.ToBase64String(HMACSHA256.HashData(Decode(secret)!, signed))));
    }

    public IEnumerable<string> Problems(bool isProduction)
    {
        if (Array.Exists(Secrets, secret => Decode(secret) is not { Length: >= 24 and <= 64 }))
        {
            yield return "VERIFICATION_CALLBACK_SECRET must be whsec_ and base64 of 24 to 64 bytes (several, separated by spaces), "
                + "for example from: echo whsec_$(openssl rand -base64 32).";
        }
    }

    private static byte[]? Decode(string secret)
    {
        var octets = new byte[secret.Length];
        return secret.StartsWith(Prefix, StringComparison.Ordinal) && Convert.TryFromBase64String(secret[Prefix.Length..], octets, out var length)
            ? octets[..length]
            : null;
    }
}
