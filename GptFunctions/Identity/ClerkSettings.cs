using GptFunctions.Hosting;

namespace GptFunctions.Identity;

/// <summary>Clerk, or any other OpenID provider, as the place where people sign in.</summary>
internal sealed class ClerkSettings : ISettings
{
    /// <summary>The issuer URL, as it stands in the <c>iss</c> claim. In Development without it, people choose who they are on a page of ours.</summary>
    [Setting("CLERK_ISSUER")]
    public string? Issuer { get; set; }

    [Setting("CLERK_OAUTH_CLIENT_ID")]
    public string? ClientId { get; set; }

    [Setting("CLERK_OAUTH_CLIENT_SECRET")]
    public string? ClientSecret { get; set; }

    /// <summary>Origins whose Clerk session JWTs are accepted (their <c>azp</c> claim).</summary>
    [Setting("CLERK_AUTHORIZED_PARTIES")]
    public string[] AuthorizedParties { get; set; } = [];

    public IEnumerable<string> Problems(bool isProduction)
    {
        if (Issuer is null && !isProduction)
        {
            yield break;
        }

        if (Issuer is null)
        {
            yield return "CLERK_ISSUER is missing: set it to the Frontend API URL of your Clerk instance, for example https://clerk.example.com.";
        }
        else if (!Uri.TryCreate(Issuer, UriKind.Absolute, out var url) || url.Scheme is not ("https" or "http"))
        {
            yield return "CLERK_ISSUER must be a URL, for example https://clerk.example.com.";
        }
        else if (isProduction && url.Scheme != "https")
        {
            yield return "CLERK_ISSUER must start with https:// in Production.";
        }

        if (ClientId is null)
        {
            yield return "CLERK_OAUTH_CLIENT_ID is missing: copy it from the OAuth application in Clerk's dashboard.";
        }

        if (ClientSecret is null)
        {
            yield return "CLERK_OAUTH_CLIENT_SECRET is missing: copy it from the OAuth application in Clerk's dashboard.";
        }

        if (isProduction && AuthorizedParties.Length == 0)
        {
            yield return "CLERK_AUTHORIZED_PARTIES is missing: list the origins of your web apps, separated by spaces, for example https://app.example.com.";
        }
    }
}
