using System.Text.Json;
using System.Text.Json.Nodes;
using GptFunctions.Gateway;

namespace GptFunctions.Mcp;

/// <summary>What a tool answers: an object, when that is all that its operation may answer with.</summary>
internal static class ToolOutput
{
    /// <summary>Null when the operation answers with something else than objects of one kind.</summary>
    /// <exception cref="ToolProblemException">A reference leads nowhere or out of the document.</exception>
    public static JsonElement? Of(OpenApiOperation operation, OpenApiOperations source, bool isVersion30)
    {
        var answers = (operation.Operation["responses"] as JsonObject ?? [])
            .Where(answer => answer.Key.StartsWith('2') && source.Resolve(answer.Value) is not null).Select(answer => source.Resolve(answer.Value)!).ToList();
        if (operation.Method == "HEAD" || answers is not [var only] || only["content"] is not JsonObject content
            || content.Any(one => !MediaTypes.IsJson(one.Key)) || (content.FirstOrDefault().Value as JsonObject)?["schema"] is not { } schema)
        {
            return null;
        }

        var written = new ToolSchemas(source, isVersion30, forInput: false, operation.Place);
        var result = written.Convert(schema);
        if (written.Count > ToolSchemas.MostInlined)
        {
            written = new ToolSchemas(source, isVersion30, forInput: false, operation.Place, inlines: false);
            result = written.Convert(schema);
        }

        if (result is not JsonObject found || !IsObject(found, written.Definitions))
        {
            return null;
        }

        found["type"] = "object"; // hosts of older versions look for it here, also beside a $ref
        if (written.Definitions.Count > 0)
        {
            found["$defs"] = written.Definitions;
        }

        return JsonElement.Parse(found.ToJsonString());
    }

    private static bool IsObject(JsonObject schema, JsonObject definitions) =>
        schema["$ref"] is JsonValue reference
            ? definitions[reference.ToString()["#/$defs/".Length..]] is JsonObject target && IsObject(target, definitions)
            : schema["type"]?.ToString() == "object" || (schema["type"] is null && schema["properties"] is JsonObject);
}
