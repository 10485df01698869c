using GptFunctions.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace GptFunctions.Identity;

/// <summary>The identity provider's documents can be fetched and used; without them nobody can sign in.</summary>
internal sealed class ClerkCheck(IServiceProvider services, IOptions<ClerkSettings> settings) : ICheck
{
    public string Name => "clerk";

    public CheckState WhenUnknown => CheckState.Blocker;

    public async Task RunAsync(Finding finding, CancellationToken cancellationToken)
    {
        finding.Details["issuer"] = settings.Value.Issuer;
        if (settings.Value.Issuer is null)
        {
            finding.Say(CheckState.Degraded, "CLERK_ISSUER is not set: people sign in at /dev/sign-in, as whoever they say they are.");
            return;
        }

        // Asked for only here: without an issuer there is no provider, and no need to load what verifies its tokens.
        var (sessionKeys, idTokenKeys) = await services.GetRequiredService<OpenIdProvider>().ProbeAsync(cancellationToken);
        finding.Details["session_keys"] = sessionKeys;
        finding.Details["id_token_keys"] = idTokenKeys;
        if (sessionKeys == 0 || idTokenKeys == 0)
        {
            finding.Say(CheckState.Blocker, "The identity provider publishes no key that can be used (RSA of 2048 bits or more, or P-256).");
        }
    }
}
