using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace GptFunctions.Gateway;

/// <summary>Reads an OpenAPI document (3.0 or 3.1) from a file, in JSON or in YAML.</summary>
internal static partial class OpenApiReader
{
    private const int MaximumDepth = 200;

    /// <returns>The document, or a sentence that says why the file is none.</returns>
    public static (JsonObject? Document, string? Problem) Read(string path)
    {
        try
        {
            return Parse(File.ReadAllText(path), path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return (null, $"{path} cannot be read: {error.Message}");
        }
    }

    /// <param name="path">What the sentences call it.</param>
    /// <inheritdoc cref="Read"/>
    public static (JsonObject? Document, string? Problem) Parse(string text, string path)
    {
        try
        {
            var root = text.AsSpan().TrimStart().StartsWith('{') ? JsonNode.Parse(text) : ReadYaml(text);
            return root is not JsonObject document ? (null, $"{path} is no OpenAPI document.")
                : document["swagger"] is not null
                    ? (null, $"{path} is a Swagger 2.0 document: convert it to OpenAPI 3, for example by 'npx swagger2openapi {Path.GetFileName(path)}'.")
                : document["openapi"] is not JsonValue version || !version.ToString().StartsWith("3.", StringComparison.Ordinal)
                    ? (null, $"{path} is no OpenAPI document: it lacks 'openapi', which says the version, 3.0 or 3.1.")
                : document["paths"] is not JsonObject paths || !paths.All(item => item.Value is JsonObject)
                    ? (null, $"{path} is no OpenAPI document: 'paths' must be an object of objects.")
                : (document, null);
        }
        catch (YamlException error)
        {
            return (null, $"{path} line {error.Start.Line} is no YAML as it should be: {error.Message}");
        }
        catch (Exception error) when (error is JsonException or ArgumentException)
        {
            return (null, $"{path} cannot be read: {error.Message}");
        }
    }

    private static JsonNode? ReadYaml(string text)
    {
        var stream = new YamlStream();
        stream.Load(new MergingParser(new Parser(new StringReader(text))));
        return stream.Documents is [var document] ? ToJson(document.RootNode, 0) : null;
    }

    private static JsonNode? ToJson(YamlNode node, int depth) => node switch
    {
        _ when depth > MaximumDepth => throw new YamlException(node.Start, node.End, "it is nested too deeply, or refers to itself."),
        YamlMappingNode mapping => new JsonObject(mapping.Children.Select(
            child => KeyValuePair.Create(((YamlScalarNode)child.Key).Value ?? "", ToJson(child.Value, depth + 1)))),
        YamlSequenceNode sequence => new JsonArray([.. sequence.Children.Select(child => ToJson(child, depth + 1))]),
        YamlScalarNode { Style: ScalarStyle.Plain } scalar when scalar.Tag.IsEmpty || scalar.Tag.IsNonSpecific => Plain(scalar.Value ?? ""),
        YamlScalarNode scalar => JsonValue.Create(scalar.Value),
        _ => throw new YamlException(node.Start, node.End, "an alias leads nowhere."),
    };

    /// <summary>YAML 1.2 10.3.2, the core schema: what an unquoted scalar stands for.</summary>
    private static JsonNode? Plain(string text) => text switch
    {
        "" or "~" or "null" or "Null" or "NULL" => null,
        "true" or "True" or "TRUE" => JsonValue.Create(true),
        "false" or "False" or "FALSE" => JsonValue.Create(false),
        _ when JsonNumber().IsMatch(text) => JsonNode.Parse(text),
        _ when OtherNumber().IsMatch(text) => JsonValue.Create(double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture)),
        _ => JsonValue.Create(text),
    };

    [GeneratedRegex(@"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex JsonNumber();

    [GeneratedRegex(@"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex OtherNumber();
}
