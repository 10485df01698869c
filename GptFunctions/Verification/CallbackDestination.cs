using GptFunctions.Hosting;
using Microsoft.Extensions.Options;

namespace GptFunctions.Verification;

/// <summary>Who is told of reminders and refunds, once a URL names somebody.</summary>
internal sealed class CallbackDestination(IOptions<VerificationSettings> settings, IOptionsMonitor<CallbackKeys> keys) : IOutsideProvider
{
    public string? MissingCredential =>
        settings.Value.CallbackUrl is not null && keys.CurrentValue.Secrets.Length == 0 ? "VERIFICATION_CALLBACK_SECRET" : null;
}
