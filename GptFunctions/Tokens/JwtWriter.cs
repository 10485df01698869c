using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Json;

namespace GptFunctions.Tokens;

/// <summary>Signs JWTs of one type (<c>typ</c>) with the current key: ES256.</summary>
internal sealed class JwtWriter(SigningKeys keys, string type)
{
    // The first part of every token: it changes only with the key.
    private Tuple<SigningKey, byte[]>? header;

    /// <param name="writeClaims">Writes the members of the claims object.</param>
    public string Write(Action<Utf8JsonWriter> writeClaims)
    {
        var claims = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(claims))
        {
            json.WriteStartObject();
            writeClaims(json);
            json.WriteEndObject();
        }

        var key = keys.Current;
        var start = HeaderFor(key);
        var signedLength = start.Length + Base64Url.GetEncodedLength(claims.WrittenCount);
        var token = new byte[signedLength + 1 + Base64Url.GetEncodedLength(SigningKey.SignatureBytes)];
        start.CopyTo(token, 0);
        Base64Url.EncodeToUtf8(claims.WrittenSpan, token.AsSpan(start.Length));
        Span<byte> signature = stackalloc byte[SigningKey.SignatureBytes];
        key.Sign(token.AsSpan(0, signedLength), signature);
        token[signedLength] = (byte)'.';
        Base64Url.EncodeToUtf8(signature, token.AsSpan(signedLength + 1));
        return Encoding.ASCII.GetString(token);
    }

    private byte[] HeaderFor(SigningKey key)
    {
        var known = header;
        if (known?.Item1 != key)
        {
            var json = $$"""{"typ":"{{type}}","alg":"ES256","kid":"{{key.KeyId}}"}""";
            header = known = Tuple.Create(key, Encoding.ASCII.GetBytes(Base64Url.EncodeToString(Encoding.ASCII.GetBytes(json)) + "."));
        }

        return known.Item2;
    }
}
