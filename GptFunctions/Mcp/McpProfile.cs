using System.Buffers.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.Sessions;
using ModelContextProtocol.Protocol;

namespace GptFunctions.Mcp;

/// <summary>Who the person is, as far as a host may know. What is unknown is left out.</summary>
/// <param name="Id">Stable for a client, another one for each, and nothing follows from it.</param>
internal sealed record Profile(string Id, string? Name, string? Email);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Profile))]
[JsonSerializable(typeof(string))]
internal sealed partial class McpJson : JsonSerializerContext;

/// <summary>The tool by which a host shows whose account it is connected to.</summary>
internal sealed class McpProfile(UserStore users)
{
    private static readonly JsonElement Input = JsonElement.Parse("""{"type":"object","properties":{},"additionalProperties":false}""");

    public static McpTool Tool { get; } = new(null, null, new Tool
    {
        Name = ToolCatalog.ProfileTool,
        Title = "Get profile",
        Description = "Says whose account is connected: an id, and name and email where they are known.",
        InputSchema = Input,
        OutputSchema = JsonElement.Parse("""
            {"type":"object","properties":{"id":{"type":"string"},"name":{"type":"string"},"email":{"type":"string"}},"required":["id"]}
            """),
        Annotations = new ToolAnnotations
        {
            Title = "Get profile",
            ReadOnlyHint = true,
            DestructiveHint = false,
            IdempotentHint = true,
            OpenWorldHint = false,
        },
        Meta = new JsonObject { ["openai/profile"] = true, [McpTool.SecuritySchemes] = ToolCatalog.SecuritySchemes() },
    }, null, new SchemaCheck(Input), null);

    /// <exception cref="Npgsql.NpgsqlException">The database is away.</exception>
    public async Task<CallToolResult> CallAsync(Caller caller, InternalUser user)
    {
        var (name, email) = await users.FindProfileAsync(user.Id);
        // The internal id is random and no client's to know: nobody finds it by trying, and two clients cannot compare notes.
        var id = Base64Url.EncodeToString(Sha256.Of($"profile\n{caller.ClientId}\n{user.Id}").AsSpan(0, 16));
        var json = JsonSerializer.SerializeToElement(new Profile(id, name, email), McpJson.Default.Profile);
        return new CallToolResult { Content = [new TextContentBlock { Text = json.GetRawText() }], StructuredContent = json };
    }
}
