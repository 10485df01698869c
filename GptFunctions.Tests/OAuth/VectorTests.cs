using System.Net;
using GptFunctions.Tests.Support;
using GptFunctions.Tokens;

namespace GptFunctions.Tests.OAuth;

/// <summary>"Test vectors": values that standards print.</summary>
public sealed class VectorTests
{
    /// <summary>RFC 7636 appendix B.</summary>
    [Fact]
    public void Challenge_of_the_RFC_7636_verifier_is_the_one_it_prints() =>
        Assert.Equal("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", Pkce.Challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));

    /// <summary>
    /// RFC 7515 appendix A.3 prints a P-256 key and an ES256 signature; the thumbprint was computed with another implementation (RFC 7638 prints RSA only).
    /// </summary>
    [Fact]
    public void RFC_7515_signature_verifies_and_its_key_has_the_known_thumbprint()
    {
        using var key = RfcKey();
        var signed = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"u8;
        var signature = System.Buffers.Text.Base64Url.DecodeFromChars(
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");

        Assert.True(key.Verify(signed, signature));
        Assert.Equal("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", key.X);
        Assert.Equal("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", key.Y);
        Assert.Equal("oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U", key.KeyId);
    }

    private static SigningKey RfcKey()
    {
        using var algorithm = System.Security.Cryptography.ECDsa.Create(new System.Security.Cryptography.ECParameters
        {
            Curve = System.Security.Cryptography.ECCurve.NamedCurves.nistP256,
            D = System.Buffers.Text.Base64Url.DecodeFromChars("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"),
            Q = new()
            {
                X = System.Buffers.Text.Base64Url.DecodeFromChars("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
                Y = System.Buffers.Text.Base64Url.DecodeFromChars("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
            },
        });
        Assert.True(SigningKey.TryParse(Convert.ToBase64String(System.Text.Encoding.ASCII.GetBytes(algorithm.ExportPkcs8PrivateKeyPem())), out var key));
        return key!;
    }
}
