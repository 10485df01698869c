using Microsoft.Extensions.Options;

namespace GptFunctions.Tokens;

/// <summary>The keys in force: one signs, all verify. Parsed once, and again when the secret file changes.</summary>
internal sealed class SigningKeys : IDisposable
{
    private readonly IDisposable? subscription;

    public SigningKeys(IOptionsMonitor<TokenKeys> settings)
    {
        All = Parse(settings.CurrentValue);
        // A replaced key may still be signing for a request in flight: it is left to the garbage collector.
        subscription = settings.OnChange(changed => All = Parse(changed));
    }

    /// <summary>The current key first, then the previous ones.</summary>
    public IReadOnlyList<SigningKey> All { get; private set; }

    public SigningKey Current => All[0];

    public SigningKey? Find(string? keyId) => All.FirstOrDefault(key => key.KeyId == keyId);

    public void Dispose() => subscription?.Dispose();

    private static List<SigningKey> Parse(TokenKeys settings)
    {
        var keys = new List<SigningKey>();
        if (SigningKey.TryParse(settings.SigningKey!, out var current))
        {
            keys.Add(current!);
        }

        foreach (var text in settings.PreviousSigningKeys)
        {
            if (SigningKey.TryParsePublic(text, out var key) && !keys.Exists(known => known.KeyId == key!.KeyId))
            {
                keys.Add(key!);
            }
        }

        return keys;
    }
}
