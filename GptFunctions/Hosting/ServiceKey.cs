using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace GptFunctions.Hosting;

/// <summary>The key of routes that are for operators and their systems only.</summary>
internal sealed class ServiceKeys : IKeys
{
    private const int Shortest = 32;

    [Setting("SERVICE_KEY", IsSecret = true, Default = "none: the former answers 401, the others keep their details",
        Meaning = "what callers of `GET /verifications/{orderId}` send in `X-Service-Key`, and who wants the details of `/__selftest` and `/ready`: "
            + "32 characters or more; several, separated by spaces, all count")]
    public string[] Keys { get; set; } = [];

    public IEnumerable<string> Problems(bool isProduction)
    {
        if (Array.Exists(Keys, key => key.Length < Shortest))
        {
            yield return "SERVICE_KEY is too short: use at least 32 characters, for example from: openssl rand -base64 32.";
        }
    }
}

internal sealed class ServiceKey(IOptionsMonitor<ServiceKeys> keys)
{
    public const string Header = "X-Service-Key";

    /// <summary>Takes the same time whatever the key is like.</summary>
    public bool IsShownBy(HttpRequest request)
    {
        var shown = SHA256.HashData(Encoding.UTF8.GetBytes(request.Headers[Header].ToString()));
        var isRight = false;
        foreach (var key in keys.CurrentValue.Keys)
        {
            isRight |= CryptographicOperations.FixedTimeEquals(shown, SHA256.HashData(Encoding.UTF8.GetBytes(key)));
        }

        return isRight;
    }

    public static IResult Refuse(HttpContext context) => Problem.Refuse(
        context, RefusalReason.ServiceKeyMissing, StatusCodes.Status401Unauthorized, "Service key needed", "Send the key of SERVICE_KEY in the header "
            + $"{Header}.");
}
