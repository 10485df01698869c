using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using GptFunctions.Identity;
using Microsoft.Extensions.Options;

namespace GptFunctions.OAuth;

/// <summary>A request that was checked and waits for its person to sign in.</summary>
internal sealed record StartedRequest
{
    /// <summary>Its name from the start: state, nonce and PKCE verifier hang on it, and later its row.</summary>
    public required Guid Id { get; init; }
    public required DateTimeOffset ExpiresAt { get; init; }
    public required string ClientId { get; init; }
    public required string RedirectUri { get; init; }
    public required bool RedirectUriGiven { get; init; }
    public required string[] Scopes { get; init; }
    public string? State { get; init; }
    public string? CodeChallenge { get; init; }
    public required string Resource { get; init; }

    /// <summary>BCP 47, of one of our languages; null: the browser's.</summary>
    public required string? Language { get; init; }
}

/// <summary>
/// Carries requests through the sign-in, as the <c>state</c> of the identity provider. The database learns of a request only when somebody has signed
/// in for it: anybody can ask for /oauth/authorize, as often as they like, and a row for each would let anybody fill it. Nobody acts on a page of ours
/// before the sign-in, so until then the request is with the browser; any replica can go on with what another one began.
/// Encrypted and authenticated (AES-256-GCM), because it passes the provider and its logs and must come back as we checked it; good for ten minutes, and
/// only together with the cookie of the browser that started it. In the URL and not in a cookie, because any link can make a browser start requests,
/// and cookies that fill up lock people out.
/// </summary>
internal sealed class SealedRequests : IDisposable
{
    private const int NonceBytes = 12;
    private const int TagBytes = 16;
    private static readonly byte[] Purpose = Encoding.ASCII.GetBytes("authorization request 2"); // the number is the format's
    private readonly IDisposable? subscription;
    private byte[][] keys;

    public SealedRequests(IOptionsMonitor<RefreshKeys> settings)
    {
        keys = Derive(settings.CurrentValue);
        subscription = settings.OnChange(changed => keys = Derive(changed));
    }

    public string Seal(StartedRequest request, BrowserBinding browser)
    {
        var plain = Write(request);
        var box = new byte[NonceBytes + plain.Length + TagBytes];
        RandomNumberGenerator.Fill(box.AsSpan(0, NonceBytes));
        using var cipher = new AesGcm(keys[0], TagBytes);
        cipher.Encrypt(box.AsSpan(0, NonceBytes), plain, box.AsSpan(NonceBytes, plain.Length), box.AsSpan(NonceBytes + plain.Length), browser.Hash);
        return Base64Url.EncodeToString(box);
    }

    /// <summary>Null for anything that was not sealed here for this browser.</summary>
    public StartedRequest? Open(string? text, BrowserBinding? browser)
    {
        if (browser is null || text is null || !Base64Url.IsValid(text, out var length) || length <= NonceBytes + TagBytes)
        {
            return null;
        }

        var box = Base64Url.DecodeFromChars(text);
        var plain = new byte[length - NonceBytes - TagBytes];
        foreach (var key in keys)
        {
            using var cipher = new AesGcm(key, TagBytes);
            try
            {
                cipher.Decrypt(box.AsSpan(0, NonceBytes), box.AsSpan(NonceBytes, plain.Length), box.AsSpan(NonceBytes + plain.Length), plain, browser.Hash);
                return Read(plain);
            }
            catch (AuthenticationTagMismatchException)
            {
                // Not with this key; during a rotation there are several.
            }
        }

        return null;
    }

    public void Dispose() => subscription?.Dispose();

    // Not JSON: its escapes would make a state of 2 KB too long for a URL.
    private static byte[] Write(StartedRequest request)
    {
        using var bytes = new MemoryStream();
        using var writer = new BinaryWriter(bytes);
        writer.Write(request.Id.ToByteArray());
        writer.Write(request.ExpiresAt.UtcTicks);
        writer.Write(request.ClientId);
        writer.Write(request.RedirectUri);
        writer.Write(request.RedirectUriGiven);
        writer.Write(string.Join(' ', request.Scopes));
        writer.Write(request.State ?? ""); // an empty parameter is none
        writer.Write(request.CodeChallenge ?? "");
        writer.Write(request.Resource);
        writer.Write(request.Language ?? "");
        writer.Flush();
        return bytes.ToArray();
    }

    private static StartedRequest Read(byte[] plain)
    {
        using var reader = new BinaryReader(new MemoryStream(plain));
        return new StartedRequest
        {
            Id = new Guid(reader.ReadBytes(16)),
            ExpiresAt = new DateTimeOffset(reader.ReadInt64(), TimeSpan.Zero),
            ClientId = reader.ReadString(),
            RedirectUri = reader.ReadString(),
            RedirectUriGiven = reader.ReadBoolean(),
            Scopes = reader.ReadString().Split(' '),
            State = NullIfEmpty(reader.ReadString()),
            CodeChallenge = NullIfEmpty(reader.ReadString()),
            Resource = reader.ReadString(),
            Language = NullIfEmpty(reader.ReadString()),
        };
    }

    private static string? NullIfEmpty(string text) => text.Length > 0 ? text : null;

    // Keys of their own from the one secret there is, so that neither use says anything about the other.
    private static byte[][] Derive(RefreshKeys settings) =>
        [.. settings.All.Select(key => HKDF.DeriveKey(HashAlgorithmName.SHA256, Convert.FromBase64String(key), 32, info: Purpose))];
}
