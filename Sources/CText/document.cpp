#include "CText.h"

#include <simdjson.h>
#include <vector>

/// A stack of iterators stands in for recursion, so that depth costs heap and is bounded by
/// simdjson's own limit (1,024).
struct tm_json_document {
    simdjson::dom::parser parser;
    simdjson::padded_string text;
    struct Level {
        bool isObject;
        simdjson::dom::array::iterator element, elementEnd;
        simdjson::dom::object::iterator field, fieldEnd;
        bool keyDone;
    };
    std::vector<Level> levels;
    simdjson::dom::element root;
    bool started = false;

    void emit(simdjson::dom::element value, tm_json_event *event);
};

void tm_json_document::emit(simdjson::dom::element value, tm_json_event *event) {
    using simdjson::dom::element_type;
    switch (value.type()) {
    case element_type::NULL_VALUE: event->kind = TM_JSON_NODE_NULL; break;
    case element_type::BOOL:
        event->kind = TM_JSON_NODE_BOOLEAN;
        event->number = value.get_bool().value_unsafe();
        break;
    case element_type::INT64:
        event->kind = TM_JSON_NODE_NUMBER;
        event->integer = value.get_int64().value_unsafe();
        event->is_integer = 1;
        event->number = static_cast<double>(event->integer);
        break;
    case element_type::UINT64:
    case element_type::DOUBLE:
        event->kind = TM_JSON_NODE_NUMBER;
        event->number = value.get_double().value_unsafe();
        break;
    case element_type::STRING: {
        std::string_view view = value.get_string().value_unsafe();
        event->kind = TM_JSON_NODE_TEXT;
        event->text = reinterpret_cast<const uint8_t *>(view.data());
        event->text_length = view.size();
        break;
    }
    case element_type::ARRAY: {
        auto array = value.get_array().value_unsafe();
        event->kind = TM_JSON_NODE_ARRAY;
        Level level{};
        level.isObject = false;
        level.element = array.begin();
        level.elementEnd = array.end();
        levels.push_back(level);
        break;
    }
    case element_type::OBJECT: {
        auto object = value.get_object().value_unsafe();
        event->kind = TM_JSON_NODE_OBJECT;
        Level level{};
        level.isObject = true;
        level.field = object.begin();
        level.fieldEnd = object.end();
        levels.push_back(level);
        break;
    }
    }
}

extern "C" tm_json_document *tm_json_document_new(
    const uint8_t *bytes, size_t length, const char **reason) {
    auto document = new tm_json_document;
    document->text = simdjson::padded_string(reinterpret_cast<const char *>(bytes), length);
    auto error = document->parser.parse(document->text).get(document->root);
    if (!error) return document;
    *reason = simdjson::error_message(error);
    delete document;
    return nullptr;
}

extern "C" void tm_json_document_free(tm_json_document *document) { delete document; }

extern "C" int tm_json_document_next(tm_json_document *document, tm_json_event *event) {
    *event = tm_json_event{};
    if (!document->started) {
        document->started = true;
        document->emit(document->root, event);
        return 1;
    }
    if (document->levels.empty()) return 0;
    auto &level = document->levels.back();
    if (!level.isObject) {
        if (level.element == level.elementEnd) {
            event->kind = TM_JSON_NODE_END;
            document->levels.pop_back();
            return 1;
        }
        auto value = *level.element;
        ++level.element;
        document->emit(value, event);
        return 1;
    }
    if (!level.keyDone) {
        if (level.field == level.fieldEnd) {
            event->kind = TM_JSON_NODE_END;
            document->levels.pop_back();
            return 1;
        }
        std::string_view key = level.field.key();
        event->kind = TM_JSON_NODE_TEXT;
        event->text = reinterpret_cast<const uint8_t *>(key.data());
        event->text_length = key.size();
        level.keyDone = true;
        return 1;
    }
    level.keyDone = false;
    auto value = level.field.value();
    ++level.field;
    document->emit(value, event);
    return 1;
}
