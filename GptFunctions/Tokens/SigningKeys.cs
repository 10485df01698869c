using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using GptFunctions.Hosting;
using Microsoft.Extensions.Options;

namespace GptFunctions.Tokens;

/// <summary>Which key signs, and from when on another one may.</summary>
internal sealed record Signer(SigningKey Key, DateTimeOffset Until)
{
    /// <summary>
    /// Of the keys that can sign the first in the list that has been published for long enough, so that whoever verifies has had the time to get to know it.
    /// While there is none, the one that was published first; of several at once the last, because the newest stands first. One alone signs at once.
    /// </summary>
    /// <param name="all">At least one of them can sign.</param>
    /// <param name="published">Since when, by key id; what is missing is not published, as far as this process knows.</param>
    public static Signer Of(
        IReadOnlyList<SigningKey> all, IReadOnlyDictionary<string, DateTimeOffset> published, TimeSpan longEnough, DateTimeOffset now)
    {
        var keys = all.Where(key => key.CanSign)
            .Select(key => (Key: key, At: published.TryGetValue(key.KeyId, out var since) ? since + longEnough : DateTimeOffset.MaxValue)).ToList();
        var first = keys.FindIndex(key => key.At <= now);
        if (first < 0)
        {
            var soonest = keys.Min(key => key.At);
            return new Signer(keys.Last(key => key.At == soonest).Key, soonest);
        }

        return new Signer(keys[first].Key, keys.Take(first).Select(key => key.At).DefaultIfEmpty(DateTimeOffset.MaxValue).Min());
    }
}

/// <summary>The keys in force: one signs, all verify. Parsed once, and again when a secret file changes.</summary>
internal sealed class SigningKeys : IDisposable
{
    private readonly Lock turn = new();
    private readonly IDisposable? subscription;
    private readonly TimeSpan longEnough;
    private readonly TimeProvider clock;
    private IReadOnlyDictionary<string, DateTimeOffset> published = new Dictionary<string, DateTimeOffset>();
    private volatile Signer signer;

    public SigningKeys(IOptionsMonitor<TokenKeys> keys, IOptions<TokenSettings> settings, TimeProvider clock)
    {
        (this.clock, longEnough) = (clock, TimeSpan.FromSeconds(settings.Value.KeyPublishSeconds));
        All = Parse(keys.CurrentValue);
        signer = Signer.Of(All, published, longEnough, clock.GetUtcNow());
        // A replaced key may still be signing for a request in flight: it is left to the garbage collector.
        subscription = keys.OnChange(changed => Take(Parse(changed)));
    }

    /// <summary>Raised when files have brought other keys.</summary>
    public event EventHandler? Changed;

    /// <summary>Those of GPT_EC_PRIVATE_KEY in their order, then those of GPT_EC_PREVIOUS_KEYS.</summary>
    public IReadOnlyList<SigningKey> All { get; private set; }

    /// <summary>The key that signs.</summary>
    public SigningKey Current
    {
        get
        {
            var known = signer;
            return clock.GetUtcNow() < known.Until ? known.Key : Choose(published).Key;
        }
    }

    /// <summary>When another key may begin to sign; the end of time when none waits.</summary>
    public DateTimeOffset Until => signer.Until;

    public SigningKey? Find(string? keyId) => All.FirstOrDefault(key => key.KeyId == keyId);

    /// <summary>Takes note of since when keys have been published, as all replicas know it.</summary>
    public Signer Choose(IReadOnlyDictionary<string, DateTimeOffset> since)
    {
        lock (turn)
        {
            published = since;
            return signer = Signer.Of(All, since, longEnough, clock.GetUtcNow());
        }
    }

    public void Dispose() => subscription?.Dispose();

    private void Take(List<SigningKey> keys)
    {
        lock (turn)
        {
            if (keys.Select(key => (key.KeyId, key.CanSign)).SequenceEqual(All.Select(key => (key.KeyId, key.CanSign))))
            {
                return;
            }

            All = keys;
            signer = Signer.Of(All, published, longEnough, clock.GetUtcNow());
        }

        Changed?.Invoke(this, EventArgs.Empty);
    }

    private static List<SigningKey> Parse(TokenKeys settings)
    {
        var keys = new List<SigningKey>();
        foreach (var text in settings.SigningKeys)
        {
            if (SigningKey.TryParse(text, out var key) || SigningKey.TryParsePublic(text, out key))
            {
                Add(keys, key!);
            }
        }

        foreach (var text in settings.PreviousSigningKeys)
        {
            if (SigningKey.TryParsePublic(text, out var key))
            {
                Add(keys, key!);
            }
        }

        return keys;
    }

    /// <summary>A key that stands there twice counts once, at the first place where it can sign.</summary>
    private static void Add(List<SigningKey> keys, SigningKey key)
    {
        var known = keys.FindIndex(other => other.KeyId == key.KeyId);
        if (known >= 0 && key.CanSign && !keys[known].CanSign)
        {
            keys.RemoveAt(known);
            known = -1;
        }

        if (known < 0)
        {
            keys.Add(key);
        }
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

    /// <summary>Its thumbprint: <c>kid</c> in tokens and in the key set.</summary>
    public string KeyId { get; }

    /// <summary>Whether its private half is here.</summary>
    public bool CanSign => parameters.D is not null;

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

    /// <summary>Base64 of the public half's PEM (SPKI): what is left of a key that no longer signs.</summary>
    public string ToPublicText()
    {
        using var algorithm = ECDsa.Create(new ECParameters { Curve = parameters.Curve, Q = parameters.Q });
        return Convert.ToBase64String(Encoding.ASCII.GetBytes(algorithm.ExportSubjectPublicKeyInfoPem()));
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
