using GptFunctions.Hosting;

namespace GptFunctions.Tokens;

/// <summary>Who issues tokens, for how long, and for what.</summary>
internal sealed class TokenSettings : ISettings
{
    /// <summary>Every URL that leaves us is built from it.</summary>
    [Setting("PUBLIC_BASE_URL", Schemes = "https http", IsOrigin = true, Development = "`http://127.0.0.1:PORT`",
        Meaning = "the issuer: scheme and host that clients see, without path; https in Production",
        Missing = "set it to the URL that clients see, for example https://api.example.com",
        MustBe = "scheme and host only, in lower case, without path or trailing slash, for example https://api.example.com")]
    public string? PublicBaseUrl { get; set; }

    [Setting("GPT_ACCESS_TOKEN_EXPIRY", 10, 86400, "seconds", Meaning = "seconds an access token lives")]
    public int AccessTokenExpiry { get; set; } = 900;

    [Setting("GPT_KEY_PUBLISH_SECONDS", 0, 86400, "seconds",
        Meaning = "seconds that a new signing key is in the key set before it signs: longer than all replicas take to read a changed file, and than "
            + "those who verify keep the key set (300)")]
    public int KeyPublishSeconds { get; set; } = 600;

    [Setting("GPT_SCOPES", Meaning = "scopes and the sentence people read: `name=sentence;name=sentence`, or JSON with a sentence in each language: "
        + "`{\"name\": {\"en\": \"sentence\", \"de\": \"Satz\"}}`", Default = "four, for jobs and applications")]
    public string? Scopes { get; set; }

    /// <summary>Plain http is for Development only; it decides the cookie's name and its Secure attribute.</summary>
    public bool IsHttps => PublicBaseUrl!.StartsWith("https:", StringComparison.Ordinal);

    /// <summary>The resource that access tokens are for (RFC 8707): the gateway.</summary>
    public string GatewayResource => PublicBaseUrl + "/gpt";

    public IEnumerable<string> Problems(bool isProduction)
    {
        if (Scopes is not null && ScopeList.Read(Scopes).Problem is { } problem)
        {
            yield return problem;
        }
    }
}

/// <summary>What tokens are signed with.</summary>
internal sealed class TokenKeys : IKeys
{
    public const string SigningKeysName = "GPT_EC_PRIVATE_KEY";
    public const string PreviousSigningKeysName = "GPT_EC_PREVIOUS_KEYS";
    private const string MakeKey = "make one with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | base64 -w0";

    [Setting(SigningKeysName, IsSecret = true,
        Meaning = "signs access tokens: base64 of a PKCS#8 PEM, P-256. Several, separated by spaces, the newest first: the first that has been published for "
            + "`GPT_KEY_PUBLISH_SECONDS` signs, all verify; of those that no longer sign the public halves suffice (`GptFunctions keys`)",
        Development = "made once, in `.local/`", Missing = MakeKey)]
    public string[] SigningKeys { get; set; } = [];

    [Setting(PreviousSigningKeysName, IsSecret = true,
        Meaning = "further keys that verify and never sign, separated by spaces: base64 of PEMs; the public keys suffice. "
            + "`GPT_EC_PRIVATE_KEY` can hold them as well")]
    public string[] PreviousSigningKeys { get; set; } = [];

    public IEnumerable<string> Problems(bool isProduction)
    {
        if (Array.Exists(SigningKeys, key => !SigningKey.TryParsePublic(key, out _)))
        {
            yield return "GPT_EC_PRIVATE_KEY is not the base64 of a PKCS#8 PEM with a P-256 private key (several, separated by spaces; behind the first "
                + $"public ones, too): {MakeKey}.";
        }
        else if (SigningKeys.Length > 0 && !Array.Exists(SigningKeys, key => SigningKey.TryParse(key, out _)))
        {
            yield return $"GPT_EC_PRIVATE_KEY holds public keys only, so nothing can sign: {MakeKey}, and put it before them.";
        }

        if (Array.Exists(PreviousSigningKeys, key => !SigningKey.TryParsePublic(key, out _)))
        {
            yield return "GPT_EC_PREVIOUS_KEYS holds a value that is not the base64 of a PEM with a P-256 key, public or private "
                + "(several, separated by spaces): make one of GPT_EC_PRIVATE_KEY with: base64 -d | openssl pkey -pubout | base64 -w0.";
        }
    }
}
