using System.Text.Json;
using System.Text.Json.Nodes;
using GptFunctions.Gateway;

namespace GptFunctions.Mcp;

/// <summary>A parameter of an operation, and the argument of the tool that it comes from.</summary>
/// <param name="Argument">Its name is the parameter's, unless another of this operation has it.</param>
/// <param name="Place">path, query or header.</param>
/// <param name="IsJson">Its value is written as JSON (<c>content</c>), whatever it is.</param>
internal sealed record ToolParameter(string Argument, string Name, string Place, string Style, bool Explodes, bool IsJson);

/// <summary>What a tool takes: parameters and body of its operation as the properties of one object.</summary>
internal sealed class ToolInput
{
    private const string BodyArgument = "body";
    private static readonly string[] PlainMembers =
        ["type", "properties", "required", "additionalProperties", "title", "description", "default", "examples", "deprecated", "$defs"];

    /// <summary>Header parameters of these names say nothing (OpenAPI 3.1.1 4.8.12.1).</summary>
    private static readonly string[] IgnoredHeaders = ["accept", "content-type", "authorization"];

    private readonly OpenApiOperation operation;
    private readonly OpenApiOperations source;
    private readonly ToolSchemas schemas;
    private readonly List<ToolParameter> parameters = [];
    private readonly JsonObject properties = [];
    private readonly List<string> required = [];
    private JsonNode others = JsonValue.Create(false);

    private ToolInput(OpenApiOperation operation, OpenApiOperations source, ToolSchemas schemas)
    {
        (this.operation, this.source, this.schemas) = (operation, source, schemas);
        foreach (var parameter in operation.Parameters)
        {
            AddParameter(parameter);
        }

        AddBody();
        var schema = new JsonObject { ["type"] = "object", ["properties"] = properties };
        if (required.Count > 0)
        {
            schema["required"] = new JsonArray([.. required.Select(name => JsonValue.Create(name))]);
        }

        schema["additionalProperties"] = others;
        if (schemas.Definitions.Count > 0)
        {
            schema["$defs"] = schemas.Definitions;
        }

        Schema = JsonElement.Parse(schema.ToJsonString());
    }

    /// <summary>JSON Schema of the arguments: an object.</summary>
    public JsonElement Schema { get; }

    public IReadOnlyList<ToolParameter> Parameters => parameters;

    /// <summary>The media type of the body; null: there is none.</summary>
    public string? BodyType { get; private set; }

    /// <summary>Whether the argument <c>body</c> is the body. Else the arguments that are no parameters are its members.</summary>
    public bool HasBodyArgument { get; private set; }

    public bool IsBodyRequired { get; private set; }

    /// <exception cref="ToolProblemException">This operation cannot be called with one JSON object.</exception>
    public static ToolInput Of(OpenApiOperation operation, OpenApiOperations source, bool isVersion30)
    {
        var written = new ToolSchemas(source, isVersion30, forInput: true, operation.Place);
        var input = new ToolInput(operation, source, written);
        return written.Count <= ToolSchemas.MostInlined ? input
            : new ToolInput(operation, source, new ToolSchemas(source, isVersion30, forInput: true, operation.Place, inlines: false));
    }

    private void AddParameter(JsonObject parameter)
    {
        var (name, place) = (parameter["name"]!.ToString(), parameter["in"]!.ToString());
        var isRequired = parameter["required"] is JsonValue flag && flag.TryGetValue(out bool isSo) && isSo;
        if (place == "cookie")
        {
            _ = isRequired ? throw Problem($"the parameter {name} is a cookie, and cookies never pass the gateway.") : false;
            return;
        }

        if (place == "header" && IgnoredHeaders.Contains(name, StringComparer.OrdinalIgnoreCase))
        {
            return;
        }

        var style = parameter["style"]?.ToString() ?? (place == "query" ? "form" : "simple");
        var known = place == "query" ? style is "form" or "spaceDelimited" or "pipeDelimited" or "deepObject" : style == "simple";
        if (!known)
        {
            throw Problem($"the parameter {name} has the style {style}, which cannot be written.");
        }

        var content = (parameter["content"] as JsonObject)?.FirstOrDefault().Value as JsonObject;
        var explodes = parameter["explode"] is JsonValue explode && explode.TryGetValue(out bool does) ? does : style == "form";
        var argument = properties.ContainsKey(name) ? $"{place}_{name}" : name;
        parameters.Add(new ToolParameter(argument, name, place, style, explodes, content is not null));
        properties[argument] = Described(schemas.Convert((content ?? parameter)["schema"]), parameter);
        if (isRequired || place == "path")
        {
            required.Add(argument);
        }
    }

    private static JsonNode Described(JsonNode schema, JsonObject parameter)
    {
        if (schema is JsonObject found)
        {
            if (parameter["description"] is JsonValue description)
            {
                found["description"] = description.DeepClone();
            }

            if (parameter["example"] is { } example && !found.ContainsKey("examples"))
            {
                found["examples"] = new JsonArray(example.DeepClone());
            }

            if (parameter["deprecated"] is JsonValue deprecated && deprecated.TryGetValue(out bool isSo) && isSo)
            {
                found["deprecated"] = true;
            }
        }

        return schema;
    }

    private void AddBody()
    {
        if (operation.Operation["requestBody"] is not { } given)
        {
            return;
        }

        var body = source.Resolve(given) ?? throw Problem("its requestBody leads nowhere.");
        IsBodyRequired = body["required"] is JsonValue flag && flag.TryGetValue(out bool isSo) && isSo;
        var content = body["content"] as JsonObject ?? [];
        var (type, media) = content.FirstOrDefault(one => MediaTypes.IsJson(one.Key));
        if (type is null)
        {
            if (IsBodyRequired)
            {
                throw Problem($"its body is {string.Join(" or ", content.Select(one => one.Key))}, and a tool can send JSON only.");
            }

            return;
        }

        BodyType = type.Contains('*', StringComparison.Ordinal) ? "application/json" : type;
        AddBody(schemas.Convert((media as JsonObject)?["schema"]));
    }

    private void AddBody(JsonNode schema)
    {
        var meant = schema is JsonObject { Count: 1 } && schema["$ref"] is JsonValue reference
            ? schemas.Definitions[reference.ToString()["#/$defs/".Length..]] : schema;
        var members = meant is JsonObject found && IsPlainObject(found) ? found["properties"] as JsonObject ?? [] : null;
        if (members is null || members.Any(member => properties.ContainsKey(member.Key)))
        {
            HasBodyArgument = true;
            if (properties.ContainsKey(BodyArgument))
            {
                throw Problem("it has both a parameter called body and a body that cannot be told from it.");
            }

            properties[BodyArgument] = schema;
            _ = IsBodyRequired && AddRequired(BodyArgument);
            return;
        }

        foreach (var (name, member) in members)
        {
            properties[name] = member?.DeepClone();
        }

        foreach (var name in meant!["required"] as JsonArray ?? [])
        {
            AddRequired(name!.ToString());
        }

        others = meant["additionalProperties"]?.DeepClone() ?? others;
    }

    private bool AddRequired(string name)
    {
        required.Add(name);
        return true;
    }

    /// <summary>Whether nothing is said of the object as a whole, so that its members can stand beside the parameters.</summary>
    private static bool IsPlainObject(JsonObject schema) =>
        (schema["type"]?.ToString() == "object" || (schema["type"] is null && schema["properties"] is JsonObject))
        && schema.All(member => PlainMembers.Contains(member.Key));

    private ToolProblemException Problem(string text) => new(operation.Place, text);
}

/// <summary>What a media type (RFC 9110 8.3.1) stands for.</summary>
internal static class MediaTypes
{
    public static bool IsJson(string? type)
    {
        var name = Name(type);
        return name is "application/json" or "text/json" or "*/*" or "application/*" || name.EndsWith("+json", StringComparison.Ordinal);
    }

    public static bool IsText(string? type)
    {
        var name = Name(type);
        return name.StartsWith("text/", StringComparison.Ordinal) || name.EndsWith("+xml", StringComparison.Ordinal)
            || name is "application/xml" or "application/yaml" or "application/javascript" or "application/x-ndjson" or "application/jsonl"
                or "application/x-www-form-urlencoded" or "application/toml" or "application/graphql";
    }

    /// <summary>In lower case, without its parameters.</summary>
    public static string Name(string? type) => (type ?? "").Split(';')[0].Trim().ToLowerInvariant();
}
