using System.Security.Cryptography;
using System.Xml;

namespace GptFunctions.Pages;

/// <summary>The picture of <c>BRAND_LOGO</c>. What it is, its content says, not its name.</summary>
/// <param name="Version">Another one for another content.</param>
internal sealed record BrandLogo(byte[] Content, string ContentType, string Version)
{
    public const string Path = "/brand/logo";
    private const int MaximumBytes = 256 * 1024;
    private const string Svg = "image/svg+xml";

    /// <summary>With its version, so that browsers may keep it for good.</summary>
    public string Url => $"{Path}?v={Version}";

    /// <summary>Whether it is a document, which must not be able to do anything when somebody opens it by itself.</summary>
    public bool IsDocument => ContentType == Svg;

    /// <returns>A sentence instead when the file is missing, too large, or no picture that browsers show.</returns>
    public static (BrandLogo? Logo, string? Problem) Read(string path)
    {
        byte[] content;
        try
        {
            using var file = File.OpenRead(path);
            if (file.Length > MaximumBytes)
            {
                return (null, $"BRAND_LOGO: {path} has {file.Length} bytes, at most {MaximumBytes} are sent with each page: make it smaller.");
            }

            content = new byte[file.Length];
            file.ReadExactly(content);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
        {
            return (null, $"BRAND_LOGO: {path} cannot be read ({error.Message.TrimEnd('.')}): name a file that this program may read.");
        }

        return TypeOf(content) is { } type
            ? (new BrandLogo(content, type, Convert.ToHexStringLower(SHA256.HashData(content).AsSpan(0, 8))), null)
            : (null, $"BRAND_LOGO: {path} is not a PNG, JPEG, WebP or SVG picture: save it as one of these.");
    }

    private static string? TypeOf(ReadOnlySpan<byte> content) =>
        content is [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] ? "image/png"
        : content is [0xff, 0xd8, 0xff, ..] ? "image/jpeg"
        : content.Length > 12 && content.StartsWith("RIFF"u8) && content[8..].StartsWith("WEBP"u8) ? "image/webp"
        : IsSvg(content) ? Svg
        : null;

    private static bool IsSvg(ReadOnlySpan<byte> content)
    {
        try
        {
            using var reader = XmlReader.Create(
                new MemoryStream(content.ToArray()), new XmlReaderSettings { DtdProcessing = DtdProcessing.Ignore, XmlResolver = null });
            return reader.MoveToContent() == XmlNodeType.Element && reader is { LocalName: "svg", NamespaceURI: "http://www.w3.org/2000/svg" };
        }
        catch (XmlException)
        {
            return false;
        }
    }
}
