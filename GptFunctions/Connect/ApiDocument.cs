using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using GptFunctions.Gateway;

namespace GptFunctions.Connect;

/// <summary>The OpenAPI document of somebody's API, as it was found.</summary>
/// <param name="Text">Unchanged: it is what the gateway reads.</param>
internal sealed partial record ApiDocument(string Text, JsonObject Json)
{
    private const int MostOctets = 5_000_000;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(15);

    public OpenApiOperations Operations { get; } = new(Json);

    public string Title => Json["info"]?["title"]?.ToString() is { Length: > 0 } title ? title : "API";

    public string? Description => Json["info"]?["description"]?.ToString();

    /// <summary>The path that the first of its servers puts before all others, without a trailing slash; empty for none.</summary>
    public string BasePath
    {
        get
        {
            if (Json["servers"] is not JsonArray { Count: > 0 } servers || servers[0] is not JsonObject server || server["url"]?.ToString() is not { } url)
            {
                return "";
            }

            url = Variable().Replace(url, match => server["variables"]?[match.Groups["name"].Value]?["default"]?.ToString() ?? "");
            return Uri.TryCreate(new Uri("http://none"), url, out var absolute) ? absolute.AbsolutePath.TrimEnd('/') : "";
        }
    }

    /// <summary>Reads a file or an http(s) URL.</summary>
    /// <returns>The document, or a sentence that says what to do.</returns>
    public static async Task<(ApiDocument? Document, string? Problem)> LoadAsync(string source, CancellationToken cancellationToken)
    {
        var (text, unread) = await ReadAsync(source, cancellationToken);
        if (text is null)
        {
            return (null, unread);
        }

        var (json, problem) = OpenApiReader.Parse(text, source);
        return json is null ? (null, problem)
            : FindOutside(json, "#") is { } outside
                ? (null, $"{source} refers to another file at {outside}: make one document of it first, for example by 'npx @redocly/cli bundle'.")
            : (new ApiDocument(text, json), null);
    }

    private static async Task<(string? Text, string? Problem)> ReadAsync(string source, CancellationToken cancellationToken)
    {
        try
        {
            if (!Uri.TryCreate(source, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https"))
            {
                return (await File.ReadAllTextAsync(source, cancellationToken), null);
            }

            using var http = new HttpClient { Timeout = Limit, MaxResponseContentBufferSize = MostOctets };
            using var response = await http.GetAsync(url, cancellationToken);
            return response.IsSuccessStatusCode
                ? (await response.Content.ReadAsStringAsync(cancellationToken), null)
                : (null, string.Create(CultureInfo.InvariantCulture,
                    $"{source} answers {(int)response.StatusCode}: give the URL at which a browser shows the document, or a file."));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return (null, $"{source} cannot be read: {error.Message}");
        }
        catch (Exception error) when (error is HttpRequestException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return (null, $"{source} does not answer: {error.Message.TrimEnd('.')}. Is the API running?");
        }
    }

    /// <summary>Where the document leaves itself, as a JSON pointer; null: nowhere.</summary>
    private static string? FindOutside(JsonNode? node, string place) => node switch
    {
        JsonObject found when found["$ref"] is JsonValue reference && !reference.ToString().StartsWith('#') => place,
        JsonObject found => found.Select(member => FindOutside(member.Value, $"{place}/{member.Key.Replace("/", "~1", StringComparison.Ordinal)}"))
            .FirstOrDefault(outside => outside is not null),
        JsonArray list => list.Select((item, index) => FindOutside(item, $"{place}/{index}")).FirstOrDefault(outside => outside is not null),
        _ => null,
    };

    [GeneratedRegex(@"\{(?<name>[^{}]+)\}", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Variable();
}
