using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Gateway;

/// <summary>What an upstream's answer says before its content: whether it can be believed, and what of it the caller gets.</summary>
/// <param name="passesObsoleteText">Whether our server can write octets above ASCII (obs-text) in a header.</param>
internal sealed class AnswerHead(HttpResponseMessage response, PublicLocation locations, bool passesObsoleteText)
{
    private readonly HttpHeadersNonValidated headers = response.Headers.NonValidated;
    private readonly HttpHeadersNonValidated contentHeaders = response.Content.Headers.NonValidated;

    public int Status => (int)response.StatusCode;

    /// <summary>RFC 9110 6.4.1. A 205 has none either (15.3.6), though it needs a framing that says so.</summary>
    public bool HasContent => response.RequestMessage!.Method != HttpMethod.Head
        && response.StatusCode is not (HttpStatusCode.NoContent or HttpStatusCode.ResetContent or HttpStatusCode.NotModified);

    /// <summary>Octets of the content as it came, also where only the length is told (HEAD, 304). Null when it is not known.</summary>
    public long? Length =>
        Single(contentHeaders, "Content-Length") is { } text && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var length)
            ? length
            : null;

    public string? ContentType => Single(contentHeaders, "Content-Type");

    /// <summary>How the content is encoded, in lower case; null when it is not.</summary>
    public string? Coding =>
        contentHeaders.TryGetValues("Content-Encoding", out var values) && values.ToString().ToLowerInvariant() is not ("" or "identity") and var coding
            ? coding
            : null;

    public bool IsEvents => ContentType?.StartsWith("text/event-stream", StringComparison.OrdinalIgnoreCase) == true;

    /// <summary>Why nobody can rely on where this answer ends, or that it is one at all; null when all is well.</summary>
    public string? Fault =>
        Status < StatusCodes.Status200OK ? $"it answered {Status}, which nobody had asked for"
        : !HasContent ? null // whatever its framing says, there is nothing to frame
        : contentHeaders.Contains("Content-Length") && Length is null ? "its Content-Length is no number, or there are several"
        : !headers.TryGetValues("Transfer-Encoding", out var codings) ? null
        : !codings.ToString().Equals("chunked", StringComparison.OrdinalIgnoreCase) ? "it has a Transfer-Encoding other than chunked"
        : contentHeaders.Contains("Content-Length") ? "it has both a Content-Length and a Transfer-Encoding" // RFC 9112 6.3
        : null;

    /// <param name="isDecoded">The caller gets the content without its encoding, so it is not told of one.</param>
    public void CopyTo(HttpResponse target, bool isDecoded)
    {
        target.StatusCode = Status;
        // RFC 9110 7.6.1
        var named = headers.TryGetValues("Connection", out var connection) ? connection.ToString().Split(',', StringSplitOptions.TrimEntries) : [];
        Copy(headers);
        Copy(contentHeaders);

        void Copy(HttpHeadersNonValidated source)
        {
            foreach (var (name, values) in source)
            {
                if (HeaderRules.OfResponse(name) != HeaderRule.Pass || named.Contains(name, StringComparer.OrdinalIgnoreCase)
                    || (isDecoded && Is(name, "Content-Encoding")))
                {
                    continue;
                }

                foreach (var value in values)
                {
                    if (ForCaller(name, value) is { } passed)
                    {
                        target.Headers.Append(name, passed);
                    }
                }
            }
        }
    }

    /// <summary>The value that the caller gets; null for none.</summary>
    private string? ForCaller(string name, string value) =>
        Is(name, "Location") || Is(name, "Content-Location")
            ? locations.Of(response.RequestMessage!.RequestUri!, Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(value)))
        : Is(name, "Cache-Control") ? Private(value)
        : Writable(value);

    /// <summary>Every answer is one person's: what lets a shared cache keep it (RFC 9111 3.5) becomes private.</summary>
    private string Private(string value)
    {
        var directives = value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var kept = Array.FindAll(directives, directive => !Says(directive, "public") && !Says(directive, "s-maxage"));
        var isShared = kept.Length < directives.Length || Array.Exists(kept, directive => Says(directive, "must-revalidate"));
        var isPrivate = Array.Exists(kept, directive => Says(directive, "private") || Says(directive, "no-store"));
        return Writable(string.Join(", ", isShared && !isPrivate ? kept.Prepend("private") : kept));

        static bool Says(string directive, string name) => Is(directive.Split('=')[0].Trim(), name);
    }

    private static bool Is(string name, string other) => name.Equals(other, StringComparison.OrdinalIgnoreCase);

    /// <summary>Octets above ASCII pass where that is possible; control characters become spaces, as RFC 9110 5.5 wants it.</summary>
    private string Writable(string value) => value.AsSpan().ContainsAnyExceptInRange(' ', '~')
        ? string.Concat(value.Select(Writable))
        : value;

    private char Writable(char character) => character switch
    {
        '\t' or (>= ' ' and <= '~') => character,
        < ' ' or '\x7f' => ' ',
        _ => passesObsoleteText ? character : '?',
    };

    private static string? Single(HttpHeadersNonValidated source, string name) =>
        source.TryGetValues(name, out var values) && values.Count == 1 ? values.ToString() : null;
}
