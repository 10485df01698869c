using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace GptFunctions.Webhooks;

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
        if (!long.TryParse(time, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) || Math.Abs((decimal)seconds - now.ToUnixTimeSeconds()) > ToleranceSeconds)
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
