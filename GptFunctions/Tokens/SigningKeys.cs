using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using GptFunctions.Hosting;
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

/// <summary>
/// One P-256 key. Signs and verifies from any number of threads: <see cref="ECDsa"/> is not safe for concurrent use,
/// so instances are pooled instead of being made for each request.
/// </summary>
internal sealed class SigningKey : IDisposable
{
    public const int SignatureBytes = 64;

    private readonly ECParameters parameters;
    private readonly ConcurrentBag<ECDsa> idle = [];

    private SigningKey(ECParameters parameters)
    {
        this.parameters = parameters;
        X = Base64Url.EncodeToString(parameters.Q.X!);
        Y = Base64Url.EncodeToString(parameters.Q.Y!);
        // RFC 7638: the members that the key type requires, in lexical order, without white space
        KeyId = Base64Url.EncodeToString(Sha256.Of($$"""{"crv":"P-256","kty":"EC","x":"{{X}}","y":"{{Y}}"}"""));
    }

    public string KeyId { get; }

    public string X { get; }

    public string Y { get; }

    /// <summary>Reads base64 of a PKCS#8 PEM. Says nothing of the reason, which could quote the key.</summary>
    public static bool TryParse(string base64, out SigningKey? key) => TryParse(base64, isToSign: true, out key);

    /// <summary>
    /// Reads base64 of a PEM with a public key (SPKI), or with a private one, of which only the public half is kept: the key verifies and cannot sign.
    /// </summary>
    public static bool TryParsePublic(string base64, out SigningKey? key) => TryParse(base64, isToSign: false, out key);

    private static bool TryParse(string base64, bool isToSign, out SigningKey? key)
    {
        key = null;
        try
        {
            using var algorithm = ECDsa.Create();
            algorithm.ImportFromPem(Encoding.ASCII.GetString(Convert.FromBase64String(base64)));
            var exported = algorithm.ExportParameters(includePrivateParameters: isToSign);
            if (exported.Curve.Oid.Value != ECCurve.NamedCurves.nistP256.Oid.Value)
            {
                return false;
            }

            key = new SigningKey(exported);
            return true;
        }
        catch (Exception error) when (error is FormatException or ArgumentException or CryptographicException)
        {
            return false;
        }
    }

    /// <summary>Base64 of a new key's PKCS#8 PEM, the form of GPT_EC_PRIVATE_KEY.</summary>
    public static string Generate()
    {
        using var algorithm = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return Convert.ToBase64String(Encoding.ASCII.GetBytes(algorithm.ExportPkcs8PrivateKeyPem()));
    }

    /// <summary>ES256: writes the 64-byte signature r || s (RFC 7518 3.4).</summary>
    public void Sign(ReadOnlySpan<byte> data, Span<byte> signature)
    {
        var algorithm = Take();
        try
        {
            algorithm.SignData(data, signature, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
        }
        finally
        {
            idle.Add(algorithm);
        }
    }

    public bool Verify(ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature)
    {
        var algorithm = Take();
        try
        {
            return algorithm.VerifyData(data, signature, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
        }
        finally
        {
            idle.Add(algorithm);
        }
    }

    public void Dispose()
    {
        while (idle.TryTake(out var algorithm))
        {
            algorithm.Dispose();
        }
    }

    private ECDsa Take() => idle.TryTake(out var algorithm) ? algorithm : ECDsa.Create(parameters);
}
