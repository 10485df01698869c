using System.Text.Json.Nodes;
using GptFunctions.Gateway;

namespace GptFunctions.Mcp;

/// <summary>An operation that cannot be a tool: a sentence that begins with its place in the document.</summary>
internal sealed class ToolProblemException(string place, string problem) : Exception($"{place}: {problem}");

/// <summary>
/// Turns schemas of an OpenAPI document into JSON Schema 2020-12 that stands by itself, for one tool: references are resolved, those that lead back
/// to themselves become <c>$defs</c>, and what only OpenAPI knows goes (or becomes what it means there, such as <c>nullable</c>).
/// </summary>
/// <param name="forInput">Input has no properties that are <c>readOnly</c>, output none that are <c>writeOnly</c>.</param>
/// <param name="inlines">False: whatever has a name becomes a definition, because written out it would be too much.</param>
internal sealed class ToolSchemas(OpenApiOperations source, bool isVersion30, bool forInput, string place, bool inlines = true)
{
    /// <summary>Schemas in one tool, written out.</summary>
    public const int MostInlined = 2_000;
    private const int Deepest = 60;

    private static readonly string[] OfSchemas =
    [
        "items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedItems", "unevaluatedProperties",
    ];

    private static readonly string[] OfMaps = ["properties", "patternProperties", "dependentSchemas"];
    private static readonly string[] OfLists = ["allOf", "anyOf", "oneOf", "prefixItems"];
    private static readonly string[] Annotations =
        ["title", "description", "default", "deprecated", "example", "examples", "readOnly", "writeOnly", "summary"];

    private static readonly string[] Dropped =
    [
        "discriminator", "xml", "externalDocs", "example", "nullable", "$schema", "$id", "$anchor", "$dynamicAnchor", "$comment", "$defs", "definitions",
        "readOnly", "writeOnly", "summary",
    ];

    private readonly List<string> open = [];
    private readonly HashSet<string> circular = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> names = new(StringComparer.Ordinal);

    /// <summary>What the <c>$defs</c> of the tool's schema hold.</summary>
    public JsonObject Definitions { get; } = [];

    /// <summary>How many schemas were written so far.</summary>
    public int Count { get; private set; }

    /// <exception cref="ToolProblemException">A reference leads nowhere or out of the document.</exception>
    public JsonNode Convert(JsonNode? schema)
    {
        Count++;
        return schema switch
        {
            JsonObject found when found["$ref"] is JsonValue reference => Referred(reference.ToString(), found),
            JsonObject found => Written(found),
            JsonValue value => value.DeepClone(),
            _ => new JsonObject(),
        };
    }

    private JsonNode Referred(string reference, JsonObject holder)
    {
        var result = Definition(reference) ?? Resolved(reference);
        var beside = holder.Where(member => member.Key != "$ref" && !member.Key.StartsWith("x-", StringComparison.Ordinal)).ToList();
        if (beside.Count == 0)
        {
            return result;
        }

        var more = Written(new JsonObject(beside.Select(member => KeyValuePair.Create(member.Key, member.Value?.DeepClone()))));
        if (result is not JsonObject target || !beside.TrueForAll(member => Annotations.Contains(member.Key)))
        {
            more["allOf"] = new JsonArray([result, .. (more["allOf"] as JsonArray ?? []).Select(part => part?.DeepClone())]);
            return more;
        }

        foreach (var (name, value) in more)
        {
            target[name] = value?.DeepClone();
        }

        return target;
    }

    /// <summary>A reference to a definition, where this one is or has to become one.</summary>
    private JsonObject? Definition(string reference)
    {
        if (open.Contains(reference))
        {
            circular.Add(reference);
        }
        else if (!names.TryGetValue(reference, out var known) || !Definitions.ContainsKey(known))
        {
            return null;
        }

        return new JsonObject { ["$ref"] = "#/$defs/" + NameOf(reference) };
    }

    private JsonNode Resolved(string reference)
    {
        var target = source.Follow(reference)
            ?? throw new ToolProblemException(
                place, reference.StartsWith('#') ? $"the reference {reference} leads nowhere."
                    : $"the reference {reference} leads out of the document; put what it means into it (for example by 'redocly bundle').");
        if (open.Count > Deepest)
        {
            throw new ToolProblemException(place, $"its schemas are nested too deeply, at {reference}.");
        }

        open.Add(reference);
        var result = Convert(target);
        open.RemoveAt(open.Count - 1);
        if (inlines && !circular.Contains(reference))
        {
            return result;
        }

        Definitions[NameOf(reference)] = result;
        return new JsonObject { ["$ref"] = "#/$defs/" + NameOf(reference) };
    }

    private string NameOf(string reference)
    {
        if (names.TryGetValue(reference, out var known))
        {
            return known;
        }

        var wanted = string.Concat(reference.Split('/')[^1].Select(character => char.IsAsciiLetterOrDigit(character) ? character : '_'));
        var name = wanted;
        for (var number = 2; names.ContainsValue(name); number++)
        {
            name = $"{wanted}_{number}";
        }

        return names[reference] = name;
    }

    private JsonObject Written(JsonObject schema)
    {
        var result = new JsonObject();
        foreach (var (name, value) in schema)
        {
            if (Dropped.Contains(name) || name.StartsWith("x-", StringComparison.Ordinal))
            {
                continue;
            }

            result[name] = OfSchemas.Contains(name) ? Convert(value)
                : OfMaps.Contains(name) && value is JsonObject map ? Converted(map)
                : OfLists.Contains(name) && value is JsonArray list ? new JsonArray([.. list.Select(Convert)])
                : value?.DeepClone();
        }

        if (schema["example"] is { } example && !result.ContainsKey("examples"))
        {
            result["examples"] = new JsonArray(example.DeepClone());
        }

        DropRequired(schema, result);
        return isVersion30 ? Of30(schema, result) : result;
    }

    private JsonObject Converted(JsonObject map)
    {
        var result = new JsonObject();
        foreach (var (name, value) in map)
        {
            if (!IsLeftOut(value))
            {
                result[name] = Convert(value);
            }
        }

        return result;
    }

    private bool IsLeftOut(JsonNode? schema) =>
        source.Resolve(schema)?[forInput ? "readOnly" : "writeOnly"] is JsonValue flag && flag.TryGetValue(out bool isSo) && isSo;

    private void DropRequired(JsonObject schema, JsonObject result)
    {
        if (schema["properties"] is JsonObject properties && result["required"] is JsonArray required)
        {
            required.RemoveAll(name => IsLeftOut(properties[name!.ToString()]));
        }
    }

    /// <summary>OpenAPI 3.0.4 4.7.24: what its schemas say otherwise than JSON Schema.</summary>
    private static JsonObject Of30(JsonObject schema, JsonObject result)
    {
        foreach (var (exclusive, bound) in new[] { ("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum") })
        {
            if (result[exclusive] is JsonValue flag && flag.TryGetValue(out bool isSo))
            {
                result.Remove(exclusive);
                if (isSo && result[bound] is { } limit)
                {
                    result.Remove(bound);
                    result[exclusive] = limit;
                }
            }
        }

        if (schema["nullable"] is not JsonValue nullable || !nullable.TryGetValue(out bool isNullable) || !isNullable)
        {
            return result;
        }

        if (result["type"] is JsonValue type && type.TryGetValue(out string? name))
        {
            result["type"] = new JsonArray(name, "null");
        }

        if (result["enum"] is JsonArray values && !values.Contains(null))
        {
            values.Add(null);
        }

        return result;
    }
}
