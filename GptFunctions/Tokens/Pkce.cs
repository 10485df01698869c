using System.Buffers.Text;
using GptFunctions.Hosting;

namespace GptFunctions.Tokens;

/// <summary>Proof Key for Code Exchange (RFC 7636): who redeems a code is who asked for it.</summary>
internal static class Pkce
{
    // RFC 7636 4.1
    public static bool IsVerifier(string verifier) =>
        verifier.Length is >= 43 and <= 128 && verifier.All(character => char.IsAsciiLetterOrDigit(character) || character is '-' or '.' or '_' or '~');

    // RFC 7636 4.6, S256
    public static string Challenge(string verifier) => Base64Url.EncodeToString(Sha256.Of(verifier));
}
