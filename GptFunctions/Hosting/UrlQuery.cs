using System.Text;

namespace GptFunctions.Hosting;

/// <summary>Builds URLs that carry parameters.</summary>
internal static class UrlQuery
{
    /// <summary>Adds parameters to the query as it stands (RFC 6749 3.1.2: what was there is retained).</summary>
    public static string Add(string uri, params ReadOnlySpan<(string Name, string? Value)> parameters)
    {
        var result = new StringBuilder(uri);
        var separator = uri.Contains('?', StringComparison.Ordinal) ? '&' : '?';
        foreach (var (name, value) in parameters)
        {
            if (value is not null)
            {
                result.Append(separator).Append(name).Append('=').Append(Uri.EscapeDataString(value));
                separator = '&';
            }
        }

        return result.ToString();
    }
}
