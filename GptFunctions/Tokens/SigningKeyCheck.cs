using System.Security.Cryptography;
using GptFunctions.Hosting;

namespace GptFunctions.Tokens;

/// <summary>What the signing key signs, it verifies.</summary>
internal sealed class SigningKeyCheck(SigningKeys keys) : ICheck
{
    public string Name => "signing_key";

    public CheckState WhenUnknown => CheckState.Blocker;

    public Task RunAsync(Finding finding, CancellationToken cancellationToken)
    {
        if (keys.All.Count == 0)
        {
            finding.Say(CheckState.Blocker, "No signing key is loaded: set GPT_EC_PRIVATE_KEY.");
            return Task.CompletedTask;
        }

        finding.Details["kid"] = keys.Current.KeyId;
        finding.Details["previous_keys"] = keys.All.Count - 1;
        Span<byte> text = stackalloc byte[32];
        Span<byte> signature = stackalloc byte[SigningKey.SignatureBytes];
        RandomNumberGenerator.Fill(text);
        keys.Current.Sign(text, signature);
        if (!keys.Current.Verify(text, signature))
        {
            finding.Say(CheckState.Blocker, "What GPT_EC_PRIVATE_KEY signs does not verify: make another key.");
        }

        return Task.CompletedTask;
    }
}
