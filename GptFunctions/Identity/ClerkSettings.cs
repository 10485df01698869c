using GptFunctions.Hosting;

namespace GptFunctions.Identity;

/// <summary>Clerk, or any other OpenID provider, as the place where people sign in.</summary>
internal sealed class ClerkSettings : ISettings
{
    /// <summary>As it stands in the <c>iss</c> claim.</summary>
    [Setting("CLERK_ISSUER", InProductionOnly = true, Schemes = "https http", Meaning = "Clerk's Frontend API URL (or any OpenID issuer)",
        Missing = "set it to the Frontend API URL of your Clerk instance, for example https://clerk.example.com",
        MustBe = "a URL, for example https://clerk.example.com",
        Development = "none: people sign in at `/dev/sign-in`")]
    public string? Issuer { get; set; }

    [Setting("CLERK_OAUTH_CLIENT_ID", With = "CLERK_ISSUER", Development = "needed with `CLERK_ISSUER`",
        Meaning = "of the OAuth application in Clerk; its redirect URI is `PUBLIC_BASE_URL/oauth/callback`",
        Missing = "copy it from the OAuth application in Clerk's dashboard")]
    public string? ClientId { get; set; }

    [Setting("CLERK_OAUTH_CLIENT_SECRET", With = "CLERK_ISSUER", Development = "needed with `CLERK_ISSUER`", IsSecret = true, Meaning = "of the same",
        Missing = "copy it from the OAuth application in Clerk's dashboard")]
    public string? ClientSecret { get; set; }

    [Setting("CLERK_AUTHORIZED_PARTIES", InProductionOnly = true, Development = "any",
        Meaning = "origins whose Clerk session JWTs are accepted (`azp`), separated by spaces",
        Missing = "list the origins of your web apps, separated by spaces, for example https://app.example.com")]
    public string[] AuthorizedParties { get; set; } = [];
}
