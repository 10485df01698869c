using System.Globalization;
using System.Text;

namespace GptFunctions.Gateway;

/// <summary>A path with parameters, such as <c>/gpt/jobs/{id}</c>. A parameter stands for one whole segment.</summary>
internal sealed class PathTemplate
{
    private readonly Segment[] segments;

    private PathTemplate(string text, Segment[] segments)
    {
        Text = text;
        this.segments = segments;
        Parameters = [.. segments.Where(segment => segment.IsParameter).Select(segment => segment.Text)];
        // Literal before parameter, from the left: sorted by it, the more specific of two templates comes first.
        Shape = string.Join('/', segments.Select(segment => segment.IsParameter ? "~" : segment.Text));
    }

    private readonly record struct Segment(string Text, bool IsParameter);

    public string Text { get; }

    public IReadOnlyList<string> Parameters { get; }

    /// <summary>The same for templates that match the same paths.</summary>
    public string Shape { get; }

    /// <summary>Null for anything but segments of letters, digits and <c>. _ -</c>, and parameters of different names.</summary>
    public static PathTemplate? Parse(string text)
    {
        if (!text.StartsWith('/'))
        {
            return null;
        }

        var template = new PathTemplate(
            text,
            text == "/" ? [] : [.. text[1..].Split('/').Select(part => part is ['{', .. var name, '}'] ? new Segment(name, true) : new Segment(part, false))]);
        return template.segments.All(IsWellFormed) && template.Parameters.Distinct().Count() == template.Parameters.Count ? template : null;
    }

    /// <summary>The parameters' values, in their order; null when the path is another one.</summary>
    /// <param name="path">Percent-decoded, as the server hands it out.</param>
    public string[]? Match(string path)
    {
        string[] values = [];
        var rest = path.AsSpan();
        var count = 0;
        foreach (var segment in segments)
        {
            if (rest.IsEmpty || rest[0] != '/')
            {
                return null;
            }

            rest = rest[1..];
            var end = rest.IndexOf('/');
            var part = end < 0 ? rest : rest[..end];
            rest = rest[part.Length..];
            if (segment.IsParameter && IsValue(part))
            {
                values = values.Length == 0 ? new string[Parameters.Count] : values;
                values[count++] = part.ToString();
            }
            else if (segment.IsParameter || !part.SequenceEqual(segment.Text))
            {
                return null;
            }
        }

        return rest.IsEmpty ? values : null;
    }

    /// <summary>The path with these values in place of the parameters, each escaped so that it stays one segment.</summary>
    public string Fill(IReadOnlyList<string> names, string[] values)
    {
        if (Parameters.Count == 0)
        {
            return Text;
        }

        var path = new StringBuilder(Text.Length + 32);
        foreach (var segment in segments)
        {
            path.Append('/').Append(segment.IsParameter ? Uri.EscapeDataString(values[IndexOf(names, segment.Text)]) : segment.Text);
        }

        return path.ToString();
    }

    /// <summary>
    /// Whether a URL has control characters, which no upstream expects in one. The encoded ones that a text consists of (tab, line feed,
    /// carriage return) are none in a query.
    /// </summary>
    /// <param name="path">Percent-decoded.</param>
    /// <param name="query">As it came.</param>
    public static bool HasControlCharacter(string path, string query)
    {
        for (var index = 0; index < query.Length; index++)
        {
            if (char.IsControl(query[index]) || (query[index] == '%' && IsEncodedControl(query.AsSpan(index + 1))))
            {
                return true;
            }
        }

        foreach (var character in path)
        {
            if (char.IsControl(character))
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsEncodedControl(ReadOnlySpan<char> digits) =>
        digits.Length >= 2 && byte.TryParse(digits[..2], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var octet)
        && octet is < 0x20 or 0x7f && octet is not ((byte)'\t' or (byte)'\n' or (byte)'\r');

    private static int IndexOf(IReadOnlyList<string> names, string name)
    {
        var index = 0;
        while (names[index] != name)
        {
            index++;
        }

        return index;
    }

    /// <summary>
    /// Nothing that an upstream could take for more than a name: no dots alone, no slash of either kind, no control character, and no
    /// percent sign, because that is a slash the server left encoded or something encoded twice.
    /// </summary>
    private static bool IsValue(ReadOnlySpan<char> part) =>
        part is not ("" or "." or "..") && part.IndexOfAny('/', '\\', '%') < 0 && !part.ContainsAnyInRange('\0', '\x1f') && !part.Contains('\x7f');

    private static bool IsWellFormed(Segment segment) =>
        segment.Text is not ("" or "." or "..") && segment.Text.All(character => char.IsAsciiLetterOrDigit(character) || character is '.' or '_' or '-');
}
