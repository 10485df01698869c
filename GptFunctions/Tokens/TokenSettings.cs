using System.ComponentModel.DataAnnotations;
using GptFunctions.Hosting;

namespace GptFunctions.Tokens;

/// <summary>Who issues tokens, with which keys, and for how long.</summary>
internal sealed class TokenSettings : ISettings
{
    /// <summary>The issuer: scheme, host and optional port, without a path or trailing slash. Every URL that leaves us is built from it.</summary>
    [Setting("PUBLIC_BASE_URL")]
    public string? PublicBaseUrl { get; set; }

    /// <summary>Base64 of a PKCS#8 PEM with a P-256 key: signs access tokens.</summary>
    [Setting("GPT_EC_PRIVATE_KEY")]
    public string? SigningKey { get; set; }

    /// <summary>Keys that signed tokens still alive, or will sign soon: in the key set, but used for nothing new. Public or private, of which the public half counts.</summary>
    [Setting("GPT_EC_PREVIOUS_KEYS")]
    public string[] PreviousSigningKeys { get; set; } = [];

    /// <summary>Whole seconds.</summary>
    [Setting("GPT_ACCESS_TOKEN_EXPIRY")]
    [Range(10, 86400, ErrorMessage = "GPT_ACCESS_TOKEN_EXPIRY must be between 10 and 86400 seconds.")]
    public int AccessTokenExpiry { get; set; } = 900;

    /// <summary>Plain http is for Development only; it decides the cookie's name and its Secure attribute.</summary>
    public bool IsHttps => PublicBaseUrl!.StartsWith("https:", StringComparison.Ordinal);

    /// <summary>The resource that access tokens are for (RFC 8707): the gateway.</summary>
    public string GatewayResource => PublicBaseUrl + "/gpt";

    public IEnumerable<string> Problems(bool isProduction) => BaseUrlProblems(isProduction).Concat(KeyProblems());

    private IEnumerable<string> BaseUrlProblems(bool isProduction)
    {
        if (PublicBaseUrl is null)
        {
            yield return "PUBLIC_BASE_URL is missing: set it to the URL that clients see, for example https://api.example.com.";
        }
        else if (!Uri.TryCreate(PublicBaseUrl, UriKind.Absolute, out var url) || url.GetLeftPart(UriPartial.Authority) != PublicBaseUrl || url.Scheme is not ("https" or "http"))
        {
            yield return "PUBLIC_BASE_URL must be scheme and host only, in lower case, without path or trailing slash, for example https://api.example.com.";
        }
        else if (isProduction && url.Scheme != "https")
        {
            yield return "PUBLIC_BASE_URL must start with https:// in Production.";
        }
    }

    private IEnumerable<string> KeyProblems()
    {
        const string makeKey = "make one with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | base64 -w0";
        if (SigningKey is null)
        {
            yield return $"GPT_EC_PRIVATE_KEY is missing: {makeKey}.";
        }
        else if (!Tokens.SigningKey.TryParse(SigningKey, out _))
        {
            yield return $"GPT_EC_PRIVATE_KEY is not the base64 of a PKCS#8 PEM with a P-256 private key: {makeKey}.";
        }

        if (Array.Exists(PreviousSigningKeys, key => !Tokens.SigningKey.TryParsePublic(key, out _)))
        {
            yield return "GPT_EC_PREVIOUS_KEYS holds a value that is not the base64 of a PEM with a P-256 key, public or private (several, separated by spaces): make one of GPT_EC_PRIVATE_KEY with: base64 -d | openssl pkey -pubout | base64 -w0.";
        }
    }
}
