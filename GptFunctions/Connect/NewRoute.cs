using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace GptFunctions.Connect;

/// <summary>A route that is to be written into gateway.json.</summary>
/// <param name="Place">The operation: <c>GET /books/{id}</c>.</param>
/// <param name="Path">As it is called here; <paramref name="UpstreamPath"/> as the document has it.</param>
internal sealed record NewRoute(string Place, string Name, string Method, string Path, string UpstreamPath, string Scope, string Tier, bool IsAudited)
{
    /// <summary>For files that people read.</summary>
    public static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Null: as the method says.</summary>
    public bool? IsConsequential { get; init; }

    /// <summary>Why it is no MCP tool; null: it is one.</summary>
    public string? NoTool { get; init; }

    /// <summary>An object as a person would write it, indented as the sample's routes are.</summary>
    /// <param name="headers">What the upstream gets with each call.</param>
    public string Write(string upstream, IReadOnlyList<KeyValuePair<string, string>> headers)
    {
        List<string> members =
            [
                $"\"name\": {Quote(Name)}", $"\"methods\": [{Quote(Method)}]", $"\"path\": {Quote(Path)}", $"\"upstream\": {Quote(upstream)}",
                $"\"upstreamPath\": {Quote(UpstreamPath)}", $"\"scope\": {Quote(Scope)}", $"\"tier\": {Quote(Tier)}",
            ];
        if (IsAudited)
        {
            members.Add("\"audit\": true");
        }

        if (IsConsequential is { } isConsequential)
        {
            members.Add($"\"isConsequential\": {(isConsequential ? "true" : "false")}");
        }

        if (headers.Count > 0)
        {
            members.Add($"\"headers\": {{ {string.Join(", ", headers.Select(header => $"{Quote(header.Key)}: {Quote(header.Value)}"))} }}");
        }

        if (NoTool is not null)
        {
            members.Add("\"tool\": false");
        }

        return "    {\n      " + string.Join(",\n      ", members) + "\n    }";
    }

    public static string Quote(string text) => JsonValue.Create(text).ToJsonString(Plain);
}
