using GptFunctions.Hosting;

namespace GptFunctions.Identity;

/// <summary>How often people may begin to sign in.</summary>
internal sealed class SignInSettings : ISettings
{
    [Setting("GPT_AUTHORIZE_LIMIT", 1, 100000,
        Meaning = "sign-ins that may be started in a minute from one address (IPv6: from one /64), for an app at `/oauth/authorize` or for a page")]
    public int StartLimit { get; set; } = 120;
}
